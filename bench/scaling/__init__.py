"""How far services, workers and stores carry, by what each step costs."""
