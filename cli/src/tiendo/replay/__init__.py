"""Replays a published campaign: made-up citizens, real communes, the figures that the province published."""
