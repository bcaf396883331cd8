"""Gmail and Google Calendar, through Google's own client library, which loads on first use."""
