"""The shared vocabulary: words and roads; imports nothing of ours."""
