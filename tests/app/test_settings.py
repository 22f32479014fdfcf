"""Settings: where they come from, which goes first, and what is said of a bad one."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from app.options import add_answer_options, add_common_options, settings_from
from app.settings import Settings, load_settings
from common.problems import Problem
from tests import ROOT


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    for field in Settings.model_fields:
        monkeypatch.delenv(f"CITESIGHT_{field.upper()}", raising=False)
    for name in ("PORT", "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults():
    settings = load_settings()
    assert settings.data_dir == Path("data") and settings.profile == "mini"
    assert settings.corpus == "wikipedia-vital" and settings.passages == 5
    assert settings.hybrid is False
    assert settings.model is None and settings.served_url is None and settings.served_key is None
    assert settings.four_bit is False
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert settings.catalogue_place == Path("data/catalogue.sqlite")
    assert settings.cache_dir == Path("data/cache")


@pytest.mark.parametrize(
    ("given", "host", "allowed"),
    [
        ({}, "127.0.0.1:7860", True), ({}, "localhost", True), ({}, "LOCALHOST:80", True), ({}, "[::1]:7860", True),
        ({}, "citesight.example:7860", False), ({}, "127.0.0.1.example", False), ({}, "", False), ({}, "[", False),
        ({"manage": True}, "citesight.example", True), ({"manage": False}, "localhost", False),
        ({"host": "0.0.0.0"}, "localhost", False), ({"host": "0.0.0.0", "manage": True}, "a.example", True),
    ],
)  # fmt: skip
def test_who_may_change_corpora(given, host, allowed):
    assert load_settings(**given).may_manage_as(host) is allowed


def test_the_database_is_in_the_data_folder_unless_named(tmp_path):
    assert load_settings(data_dir=tmp_path).catalogue_place == tmp_path / "catalogue.sqlite"
    assert load_settings(database_url="postgresql://me@here/db").catalogue_place == "postgresql://me@here/db"


def test_the_home_folder_is_meant_wherever_a_path_is_set(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CITESIGHT_DATA_DIR", "~/kept")
    settings = load_settings(profile="~/tuned.safetensors", model="~/a model")
    assert settings.data_dir == tmp_path / "kept" and settings.cache_dir == tmp_path / "kept" / "cache"
    assert (settings.profile, settings.model) == (f"{tmp_path}/tuned.safetensors", f"{tmp_path}/a model")
    with pytest.raises(Problem, match="data_dir .* cannot be .*'~nobody-here/x'.*: nobody of this machine"):
        load_settings(data_dir="~nobody-here/x")


@pytest.mark.parametrize("name", ["CITESIGHT_PORT", "GRADIO_SERVER_PORT", "PORT"])
def test_the_port_is_known_by_three_names(monkeypatch, name):
    monkeypatch.setenv(name, "8123")
    assert load_settings().port == 8123
    assert load_settings(port=9000).port == 9000


def test_our_own_name_goes_before_gradios_and_the_hosts(monkeypatch):
    for number, name in enumerate(["CITESIGHT_PORT", "GRADIO_SERVER_PORT", "PORT"]):
        monkeypatch.setenv(name, str(8000 + number))
    assert load_settings().port == 8000
    monkeypatch.delenv("CITESIGHT_PORT")
    assert load_settings().port == 8001


@pytest.mark.parametrize("name", ["CITESIGHT_HOST", "GRADIO_SERVER_NAME"])
def test_the_host_is_known_by_two_names(monkeypatch, name):
    monkeypatch.setenv(name, "0.0.0.0")
    assert load_settings().host == "0.0.0.0"


def test_command_line_then_environment_then_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("CITESIGHT_PASSAGES=7\nCITESIGHT_CORPUS=mine\nOTHER=1\nDEBUG=yes\n")
    assert (load_settings().passages, load_settings().corpus) == (7, "mine")
    monkeypatch.setenv("CITESIGHT_PASSAGES", "8")
    assert load_settings().passages == 8
    assert load_settings(passages=9).passages == 9
    assert load_settings(passages=None).passages == 8


def test_an_empty_variable_is_no_setting(monkeypatch):
    monkeypatch.setenv("CITESIGHT_PASSAGES", "")
    monkeypatch.setenv("PORT", "")
    assert (load_settings().passages, load_settings().port) == (5, 7860)


@pytest.mark.parametrize(
    ("variable", "value", "field"),
    [
        ("CITESIGHT_PORT", "http", "port"),
        ("GRADIO_SERVER_PORT", "70000", "port"),
        ("CITESIGHT_PASSAGES", "0", "passages"),
        ("CITESIGHT_PASSAGES", "51", "passages"),
        ("CITESIGHT_MIN_SCORE", "2", "min_score"),
        ("CITESIGHT_HYBRID", "perhaps", "hybrid"),
        ("CITESIGHT_PROFILE", "a\nb", "profile"),
        ("CITESIGHT_MODEL", "a\nb", "model"),
        ("CITESIGHT_FOUR_BIT", "maybe", "four_bit"),
        ("CITESIGHT_CORPUS", "a/b", "corpus"),
        ("CITESIGHT_CORPUS", "..", "corpus"),
    ],
)
def test_a_bad_value_gives_one_sentence_that_names_the_setting(monkeypatch, variable, value, field):
    monkeypatch.setenv(variable, value)
    with pytest.raises(Problem) as caught:
        load_settings()
    sentence = str(caught.value)
    assert f"setting {field} " in sentence and variable in sentence and repr(value) in sentence
    assert "\n" not in sentence and sentence.endswith(".") and "pydantic" not in sentence


def test_no_sentence_has_a_pattern():
    with pytest.raises(Problem, match=r"'5/hour': give limits such as 20/minute 500/day 4/once, or none\.$"):
        load_settings(rate_key="5/hour")
    for name, field in Settings.model_fields.items():
        if any(getattr(each, "pattern", None) for each in field.metadata):
            with pytest.raises(Problem, match=rf"The setting {name} .* cannot be '\\x00': give \w.*\.$"):
                load_settings(**{name: "\0"})


def test_a_bad_value_on_the_command_line_names_the_setting():
    with pytest.raises(Problem, match="setting port .* cannot be 0"):
        load_settings(port=0)
    with pytest.raises(Problem, match="no setting called colour"):
        load_settings(colour="red")


def test_a_long_bad_value_is_cut(monkeypatch):
    monkeypatch.setenv("CITESIGHT_PORT", "9" * 5000)
    with pytest.raises(Problem) as caught:
        load_settings()
    assert len(str(caught.value)) < 400


def test_a_file_that_is_no_text_gives_a_sentence(tmp_path):
    (tmp_path / ".env").write_bytes(b"CITESIGHT_CORPUS=\xff\xfe\x00\n")
    with pytest.raises(Problem, match=".env"):
        load_settings()


def test_settings_do_not_change_once_read():
    with pytest.raises(ValueError):
        load_settings().port = 1


def test_the_common_options_become_settings(tmp_path):
    parser = argparse.ArgumentParser()
    add_common_options(parser)
    args = parser.parse_args(["--data-dir", str(tmp_path), "--profile", "base"])
    settings = settings_from(args)
    assert settings.data_dir == tmp_path and settings.profile == "base" and settings.database_url is None
    assert settings_from(parser.parse_args([])) == load_settings()
    assert "--database-url" in parser.format_help() and "default: mini" in parser.format_help()


def test_a_model_that_answers(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("CITESIGHT_MODEL=owner/small\nCITESIGHT_FOUR_BIT=true\n")
    assert load_settings().model == "owner/small" and load_settings().four_bit is True
    monkeypatch.setenv("CITESIGHT_SERVED_URL", "http://localhost:8000/v1")
    monkeypatch.setenv("CITESIGHT_SERVED_KEY", "sk-secret")
    settings = load_settings(model="large")
    assert (settings.model, settings.served_url) == ("large", "http://localhost:8000/v1")
    assert settings.served_key.get_secret_value() == "sk-secret"


def test_a_server_without_a_models_name_is_refused(monkeypatch):
    monkeypatch.setenv("CITESIGHT_SERVED_URL", "http://localhost:8000/v1")
    with pytest.raises(Problem) as caught:
        load_settings()
    sentence = str(caught.value)
    assert "CITESIGHT_SERVED_URL" in sentence and "CITESIGHT_MODEL" in sentence and sentence.endswith(".")
    assert load_settings(model="small").model == "small"


def test_a_key_is_never_shown(monkeypatch):
    monkeypatch.setenv("CITESIGHT_SERVED_KEY", "sk-secret")
    monkeypatch.setenv("CITESIGHT_MODEL", "small")
    settings = load_settings()
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "sk-secret" not in shown
    monkeypatch.setenv("CITESIGHT_PORT", "http")
    with pytest.raises(Problem) as caught:
        load_settings()
    assert "sk-secret" not in str(caught.value)


def test_the_answer_options_become_settings():
    parser = argparse.ArgumentParser()
    add_answer_options(parser)
    args = parser.parse_args(["--model", "small", "--served-url", "http://localhost:8000/v1"])
    settings = settings_from(args)
    assert settings.model == "small" and settings.served_url == "http://localhost:8000/v1"
    # Others on the machine can read a command line, so that is no place for a key.
    assert "key" not in parser.format_usage() and "None" not in parser.format_help()


def test_the_table_of_settings_has_all_that_a_person_sets_and_no_other():
    table = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    given = {"space_host", "space_author", "openid_provider_url"}  # by Spaces, as what begins with oauth_
    fields = {field for field in Settings.model_fields if not field.startswith("oauth_")} - given
    named = re.findall(r"`CITESIGHT_([A-Z_]+)`", table)
    assert {name.lower() for name in named} == fields and len(named) == len(fields)


def test_documents_name_settings_that_there_are():
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    assert {name.lower() for name in re.findall(r"CITESIGHT_([A-Z_]+)", pages)} <= set(Settings.model_fields)
