"""Outlook and its calendar through Microsoft Graph, signed in to through Entra. msal loads on first use."""
