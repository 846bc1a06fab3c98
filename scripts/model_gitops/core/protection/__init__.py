"""How a repository is to be protected, and in what it differs from that. Pure: no request is made here."""
