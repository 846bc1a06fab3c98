"""Who is there in the tests of retraining."""

from __future__ import annotations

NAME, BOT, PERSON, EVE = "acme/diabetes", "bot-secret", "person-secret", "eve-secret"
