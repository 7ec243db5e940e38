"""What people look at: pictures and pages of what analysis found. Computes nothing that analysis has not."""
