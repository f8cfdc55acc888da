"""The simulator: staff play a customer, on any document of a flow, with a clock of their own."""
