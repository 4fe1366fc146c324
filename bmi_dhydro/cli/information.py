"""Descriptions of trained models and configurations, for people."""

from __future__ import annotations

import re
from pathlib import Path

import click

from ..catchments.attributes import ATTRIBUTES, units_of
from ..config import read_config
from ..errors import counted
from ..networks.trained_model import load
from ..run.component import Component

# How licences say so.
_NOT_COMMERCIAL = re.compile(r"non[- ]?commercial|\bNC\b", re.IGNORECASE)


def describe_model(name: str) -> None:
    """Print what a trained model is, expects and can do; `name` is as for `trained_model.load`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    model = load(name)
    console = Console()
    about, process = model.about, model.layout.process
    console.print(f"[bold]{about.get('name', 'trained model')}[/], {name}")
    console.print(f"fingerprint {model.fingerprint}, licence {about.get('licence', 'not stated')}")
    console.print(
        f"{process.long_name}; {model.layout.parameter_sets} parallel parameter sets; "
        f"{process.reference}"
    )
    if _NOT_COMMERCIAL.search(str(about.get("licence", ""))):
        console.print("[yellow]its licence does not allow commercial use")
    if "published" in about:
        published = about["published"]
        held = ", with parameters held" if published["warm_up_states"] else ""
        console.print(
            f"made of {published['file']} ({escape(published['source'])}), digest "
            f"{published['digest'][:16]}; learned with {counted(published['warm_up'], 'day')} that "
            f"fill the stores{held}"
        )
    if model.layout.static_by == "weather":
        console.print(
            "its static parameters depend on the weather of a period: a run takes its own, "
            "`bmi-dhydro freeze` fixes them for hosts and forecasts"
        )
    training, skill = about.get("training", {}), about.get("skill", {})
    if training:
        console.print(
            f"trained on {training.get('data')}, {training.get('catchments')} catchments, "
            f"{' to '.join(training.get('period', []))}, potential evapotranspiration: "
            f"{training.get('potential_evapotranspiration')}"
            + (f", weather: {training['forcing']}" if "forcing" in training else "")
        )
    if "from" in training:
        begun = training["from"]
        console.print(
            f"began with {begun['name']} ({begun['fingerprint']}, licence {begun['licence']}), "
            f"trained on {begun['data']}"
        )
    for where, scores in skill.items():
        if isinstance(scores, dict):
            medians = [
                f"{label} {scores[key]}"
                for label, key in (("NSE", "median_nse"), ("KGE", "median_kge"))
                if key in scores
            ]
            medians += [
                f"{label} flows {scores[key]:+.0%}"
                for label, key in (("low", "median_bias_low"), ("high", "median_bias_high"))
                if key in scores
            ]
            console.print(
                f"skill {where.replace('_', ' ')}, "
                f"{' to '.join(scores.get('period', skill.get('period', [])))}: median "
                f"{', '.join(medians)}, {scores.get('catchments')} catchments"
            )
    if "of" in skill:
        console.print(f"skill is that of {skill['of']}")
    learned = model.evapotranspiration
    if learned.methods:
        rescaled = f"; rescaled from {', '.join(learned.monthly)}" if learned.monthly else ""
        console.print(
            f"learned with potential evapotranspiration of {' or '.join(learned.methods)}"
            f"{rescaled} (forcing.evapotranspiration_mismatch)"
        )
    if model.flow_errors is not None:
        learned_from = model.flow_errors.about
        shares = learned_from["coverage"]
        console.print(
            f"errors of flow: 5 to 95 % hold {shares['median']:.0%} of the days in the median of "
            f"{learned_from['catchments']} catchments, each left out when they were learned "
            f"({shares['lower quarter']:.0%} and {shares['upper quarter']:.0%} in the quarters); "
            "bmi-dhydro run --band"
        )
    if "memory" in about:
        console.print(str(about["memory"]))
    table = Table(title="attributes it needs", title_justify="left")
    # What a user must type is never cut; the meaning goes on in the next line.
    for heading in ("attribute", "units", "in training", "meaning"):
        table.add_column(heading, no_wrap=heading != "meaning", overflow="fold")
    normalisation = model.normalisation
    ranges = {
        name: f"{lowest:.4g} to {highest:.4g}"
        for name, lowest, highest in zip(
            normalisation.names, normalisation.lowest, normalisation.highest, strict=True
        )
        if name in model.layout.attributes
    }
    for name in model.layout.needed:
        meaning = ATTRIBUTES[name].long_name if name in ATTRIBUTES else "as the model's makers say"
        table.add_row(name, units_of(name), ranges.get(name, ""), meaning)
    console.print(table)
    table = Table(title="parameters it gives", title_justify="left")
    for heading in ("parameter", "units", "bounds", "meaning"):
        table.add_column(heading, no_wrap=heading != "meaning", overflow="fold")
    for parameter in process.parameters:
        moves = "changes daily: " if parameter.name in model.layout.dynamic else ""
        bounds = f"{parameter.lower:g} to {parameter.upper:g}"
        table.add_row(parameter.name, parameter.units, bounds, moves + parameter.long_name)
    console.print(table)


def describe_config(path: Path) -> None:
    """Check a configuration by building it, without running or writing; print what it makes."""
    config = read_config(path)
    component = Component(config.without_files())
    try:
        model = component.model
        click.echo(f"{path}: fits together")
        click.echo(f"trained model       {component.trained.about.get('name')}")
        click.echo(f"catchments          {len(component.catchments)}")
        click.echo(f"parameter sets      {model.parameter_sets}")
        click.echo(f"step                {config.time.step}")
        if component.clock.start is not None:
            click.echo(f"start               {component.clock.start}")
        if component.clock.steps is not None:
            click.echo(f"steps               {component.clock.steps}")
        click.echo(f"weather             {config.forcing.file or 'from the host'}")
        click.echo(f"evapotranspiration  {component.driver.preparation.method}")
        for item in component.input_items:
            click.echo(f"input               {item.name} [{item.units}]")
        for output in component.output_items:
            click.echo(f"output              {output.name} [{output.units}]")
    finally:
        component.abandon()
