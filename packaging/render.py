"""Renders the conda recipe with its variants, and prints what it builds: `$(tests/e2e/venv packaging) packaging/render.py`."""

from pathlib import Path

from rattler_build import Stage0Recipe, VariantConfig

HERE = Path(__file__).resolve().parent / "conda"

variants = VariantConfig.from_file(str(HERE / "variants.yaml"))
for rendered in Stage0Recipe.from_file(str(HERE / "recipe.yaml")).render(variants):
    package = rendered.recipe.package
    print(package.name, package.version)
