"""What happens by itself: clocks, and the steps of the path from a mailbox to a deal and out again."""
