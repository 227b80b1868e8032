"""The OpenAI fine-tuning API as types, shared by the client, the server and the adapters. Pure: no network, no SDK."""
