"""What is true: the tables, and the verbs that keep them true. No network, no jobs, no clock of its own."""
