class LZ4FrameDecompressor:
    needs_input: bool
    eof: bool
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...
