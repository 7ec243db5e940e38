"""What is measured against an answer key. The only package that reads one."""
