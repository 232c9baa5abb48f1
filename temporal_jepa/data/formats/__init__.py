"""Files of each kind to tables, or to sequences where they hold no table."""
