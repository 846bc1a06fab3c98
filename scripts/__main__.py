"""`python -I scripts NAME`: run an action with this folder, and no other, added to the path."""

import sys

from model_gitops.__main__ import main

sys.exit(main())
