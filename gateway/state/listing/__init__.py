"""Lists of all calls ever kept: filters, pages in SQL, figures by hour and minute."""
