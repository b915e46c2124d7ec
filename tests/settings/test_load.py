from pathlib import Path

import pytest

from intermodel.core import Invalid
from intermodel.settings import Settings, load
from intermodel.settings.load import keys


def write(folder: Path, text: str) -> Path:
    path = folder / "intermodel.toml"
    path.write_text(text)
    return path


def test_three_lines_add_a_deployment(tmp_path: Path) -> None:
    config = write(tmp_path, '[deployments.llama]\nbase_url = "http://localhost:11434/v1/"\nmodel = "llama3.3"\n')
    deployment = load(config, {}).deployments["llama"]
    assert (deployment.base_url, deployment.model) == ("http://localhost:11434/v1", "llama3.3")
    assert deployment.provider == "openai"


def test_command_line_beats_environment_beats_file(tmp_path: Path) -> None:
    config = write(tmp_path, 'port = 1\nhost = "127.0.0.2"\nlog_level = "error"\n')
    settings = load(config, {"INTERMODEL_PORT": "2", "INTERMODEL_HOST": "127.0.0.3"}, port=3, host=None)
    assert (settings.port, settings.host, settings.log_level) == (3, "127.0.0.3", "error")


def test_the_token_comes_from_the_environment_and_is_not_shown(tmp_path: Path) -> None:
    settings = load(write(tmp_path, ""), {"INTERMODEL_TOKEN": "open-sesame-now"})
    assert settings.token is not None
    assert settings.token.get_secret_value() == "open-sesame-now"
    assert "open-sesame" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prot = 80", "Did you mean 'port'?"),
        ("[limits]\nbody_byte = 1", "Did you mean 'body_bytes'?"),
        ('[deployments.x]\nbase_ur = "http://a/v1"', "Did you mean 'base_url'?"),
        ("port = 70000", "'port' is wrong"),
        ('port = "eighty"', "'port' is wrong"),
        ("port = ", "not valid TOML"),
        ("[deployments.x]\nmodel = 'y'", "'base_url' is missing"),
        ('[deployments.x]\nbase_url = "ftp://a"', "http:// or https://"),
        ('[deployments.x]\nbase_url = "http://me:secret@a/v1"', "user or password"),
        ('[deployments.x]\nbase_url = "http://a:99999/v1"', "valid host and a port"),
        ('[deployments.x]\nbase_url = "http://a..b/v1"', "valid host and a port"),
        ('allowed_hosts = ["a.test:80"]', "without port"),
        ('token = " "', "at least 12 characters"),
        ('[deployments."a b"]\nprovider = "echo"', "a b"),
        ("[routes.x]\ncandidates = []", "candidates"),
        ('[deployments.x]\nprovider = "echo"\n[routes.x]\ncandidates = ["x"]', "both a route and a deployment"),
        ('[routes.x]\ncandidates = ["y"]\n[routes.y]\ncandidates = ["z"]', "do not nest"),
    ],
)
def test_mistakes_are_named_with_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        load(write(tmp_path, text), {})
    assert says in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        load(tmp_path / "none.toml", {})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(Exception, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


def test_keys_come_from_variable_or_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" from-file \n")
    text = f"""
    [deployments.a]
    base_url = "http://a/v1"
    key_env = "A_KEY"
    [deployments.b]
    base_url = "http://b/v1"
    key_file = "{tmp_path}/key"
    [deployments.c]
    base_url = "http://c/v1"
    """
    deployments = load(write(tmp_path, text), {}).deployments
    assert keys(deployments["a"], "a", {"A_KEY": "from-env"}) == ("from-env",)
    assert keys(deployments["b"], "b", {}) == ("from-file",)
    assert keys(deployments["c"], "c", {}) == ("",)
    with pytest.raises(Invalid, match="A_KEY, which is not set"):
        keys(deployments["a"], "a", {})
    (tmp_path / "key").unlink()
    with pytest.raises(Invalid, match="cannot be read"):
        keys(deployments["b"], "b", {})


def test_several_keys_take_turns_in_the_order_written(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("third")
    text = f"""
    [deployments.a]
    base_url = "http://a/v1"
    key_env = ["A", "B"]
    key_file = ["{tmp_path}/key"]
    """
    deployment = load(write(tmp_path, text), {}).deployments["a"]
    assert keys(deployment, "a", {"A": "first", "B": "second"}) == ("first", "second", "third")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[routes.r]\ncandidates = ["a"]\n[routes.r.weights]\nb = 1', "weight for 'b'"),
        ('[routes.r]\ncandidates = ["a"]\nguards = ["pii"]', "guard 'pii'"),
        ("[budgets.b]\ndollars = 0", "greater than 0"),
        ('[budgets.b]\ndollars = 1\ntoken = "a"\nuser = "b"', "not several"),
        ('redis = "http://x"', "redis://"),
    ],
)
def test_tables_of_the_gateway_are_checked(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        load(write(tmp_path, text), {})
    assert says in str(caught.value)


def test_allowed_hosts_are_compared_in_small_letters(tmp_path: Path) -> None:
    assert load(write(tmp_path, 'allowed_hosts = ["Models.Example.org"]'), {}).allowed_hosts == ("models.example.org",)


def test_a_key_of_several_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("one\ntwo\n")
    config = write(tmp_path, f'[deployments.a]\nbase_url = "http://a/v1"\nkey_file = "{tmp_path}/key"\n')
    with pytest.raises(Invalid, match="not one line"):
        keys(load(config, {}).deployments["a"], "a", {})


@pytest.mark.parametrize(
    ("name", "says"),
    [("INTERMODEL_PROT", "Did you mean INTERMODEL_PORT?"), ("INTERMODEL_LIMITS_CHOICES", "intermodel.toml")],
)
def test_a_variable_that_sets_nothing_is_said_so(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        load(write(tmp_path, ""), {name: "3"})
    assert says in str(caught.value)


def test_a_variable_that_holds_a_key_may_be_called_anything(tmp_path: Path) -> None:
    config = write(tmp_path, '[deployments.a]\nbase_url = "http://a/v1"\nkey_env = "INTERMODEL_A_KEY"\n')
    assert load(config, {"INTERMODEL_A_KEY": "x"}).deployments["a"].key_env == ("INTERMODEL_A_KEY",)
