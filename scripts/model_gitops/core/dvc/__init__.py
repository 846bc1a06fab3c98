"""DVC's files: artifacts, locks and the recipe of a stage, read without DVC."""
