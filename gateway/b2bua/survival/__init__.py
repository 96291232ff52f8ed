"""Calls that outlive the process: frozen as they change, and rebuilt by the next one."""
