"""Everything that opens a socket, in and out. This room knows no table."""
