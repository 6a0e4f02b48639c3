"""Roll-ups: readings by minute, hour and day, computed of whole hours once these are over, and when they change."""
