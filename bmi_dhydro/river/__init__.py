"""The river: from the catchments' runoff to the flow at gauges."""
