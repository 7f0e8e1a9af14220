"""What the machine has: cores, a driver, and the devices that an interpreter can use.

Not here: sharing them among tasks (`slots`).
"""
