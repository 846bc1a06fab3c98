"""New repositories from the templates: the answers, and how a template is rendered with them."""
