"""What people use today, under the load of our bench: see README.md beside this file."""
