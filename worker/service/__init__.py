"""The batch: loaded, decided and saved; then said; then settled. Async, but knows only the Protocols in ports."""
