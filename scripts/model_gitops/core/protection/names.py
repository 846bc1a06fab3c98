"""The names of settings, as a person reads them and as the servers' forms are told apart by."""

# A branch's.
IN_FORCE = "rule set is in force for it"
PULL_REQUESTS = "changes by pull request only"
APPROVALS = "approvals"
CODE_OWNERS = "review by code owners"
DISMISS_STALE = "a push dismisses approvals"
LAST_PUSH = "somebody else approves the last push"
CHECKS = "required checks"
BEHIND = "must contain the branch's newest commit"
CREATION = "can be created before its checks are there"
LINEAR = "linear history"
NO_FORCE = "force pushes are blocked"
NO_DELETION = "deletion is blocked"
BYPASS = "who may bypass"
METHODS = "merge methods"
OPEN_PATHS = "paths that anybody may push"
REVIEWED_PATHS = "paths that nobody may push"

# Tags'.
TAG_PATTERNS = "patterns"
NO_MOVE = "moving is blocked"

# A GitHub environment's.
DEPLOYS_FROM = "branches that may deploy"
REVIEWERS = "reviewers"

# The repository's.
MERGE_COMMITS = "merge commits are allowed"
READ_TOKEN = "workflows' token reads by default"  # noqa: S105 - a name, no secret
SECRETS = "secrets that each branch's workflow can read"
PULL_REQUESTS_BY_ACTIONS = "workflows may create and approve pull requests"

# Rule sets of ours are found by these names.
PREFIX = "model-gitops: "
TAG_RULESET = f"{PREFIX}tags"
PUSH_RULESET_END = ", by pull request"

# A check with no word after it must come from GitHub Actions, where its number is known.
ANY_APP = " (of any app)"
