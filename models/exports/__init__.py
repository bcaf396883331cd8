"""Everything out again: ``tables`` reads it, ``files`` writes it as CSV or XLSX."""
