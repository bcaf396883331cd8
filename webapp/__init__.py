"""What people see: pages, the JSON API and the providers' callbacks."""
