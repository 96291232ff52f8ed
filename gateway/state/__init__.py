"""Everything that outlives the process: sqlite, write-behind, call records, CDR, audit."""
