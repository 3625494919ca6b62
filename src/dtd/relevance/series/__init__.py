"""What of a Taylor series is distributed: degrees (theory, section 5.3) or the integral (5.4)."""
