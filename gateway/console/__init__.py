"""The console: pages for operators and for tenants' administrators, by what the admin API answers them."""
