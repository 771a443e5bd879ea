"""Uploads as gradio puts them into its folder."""


def uploaded(vault, content=b"photo", name="a.jpg"):
    path = vault.folder / "hash" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return str(path)
