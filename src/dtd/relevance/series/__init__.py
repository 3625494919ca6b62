"""What of the Taylor series of a relevance function is distributed: degrees, or the integral."""
