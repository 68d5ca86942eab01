"""Views: a report becomes blocks (what is said), and blocks become text (how it looks), rich or plain."""
