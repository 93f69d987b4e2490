"""What is counted, summed, spread and cut, and how: no I/O, no clock."""
