"""The chart: rendered and linted by Helm's engine, checked against the schemas of every Kubernetes it is meant for."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from helm_python import Chart, HelmError, lint

from gateway import settings
from gateway.cli.main import main

CHART = Path(__file__).resolve().parent.parent / "helm"
_ALL = dict.fromkeys(kubernetes_validate.utils.all_versions())
KUBERNETES = [v for v in _ALL if tuple(map(int, v.split(".")[:2])) >= (1, 30)]
UNCHECKED = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}
"""Custom resources: Kubernetes has no schema of them, and they are looked at below field by field."""

Values = dict[str, Any]
Manifest = dict[str, Any]

CONFIG: Values = {
    "public_url": "https://auth.example.com",
    "trusted_proxies": ["10.0.0.0/8"],
    "api_hosts": ["api.example.com"],
    "forward_auth": {"peers": ["10.0.0.0/24"]},
    "hashing": {"queue": 100000, "memory": "32MiB"},
    "mail": {"smtp_host": "smtp.example.com", "username": "yett", "sender": "Example <auth@example.com>"},
    "upstreams": {"orders": {"targets": ["http://orders:8000"], "audience": "https://api.example.com/orders"}},
    "routes": [
        {
            "name": "orders",
            "match": {"path": "/orders/**", "methods": ["GET"]},
            "require": {"all": [{"scopes": ["orders:read"]}, {"max_age": "15m"}]},
            "upstream": "orders",
        }
    ],
}
MINIMAL: Values = {"config": {"public_url": "https://auth.example.com"}}
IPV6: Values = {**MINIMAL, "bindAddress": "[::]", "replicaCount": 1, "migrate": {"enabled": False}}
FULL: Values = {
    "config": CONFIG,
    "image": {"repository": "registry.example.com/team/yett", "digest": "sha256:" + "0a" * 32, "pullPolicy": "Always"},
    "imagePullSecrets": ["registry"],
    "fullnameOverride": "gate",
    "replicaCount": 5,
    "masterKey": {"secretName": "sealing", "key": "ring"},
    "database": {"secretName": "pg", "appUrlKey": "app", "systemUrlKey": "sys", "ownerUrlKey": "own"},
    "mail": {"secretName": "post", "passwordKey": "smtp"},
    "geoip": {"claimName": "places", "file": "2026/city.mmdb"},
    "service": {
        "public": {"type": "LoadBalancer", "port": 8443, "annotations": {"example.com/zone": "a"}},
        "management": {"annotations": {"example.com/private": "yes"}},
    },
    "serviceAccount": {"create": False, "name": "gatekeeper"},
    "resources": {"limits": {"cpu": "4", "memory": "1Gi"}},
    "podAnnotations": {"example.com/scrape": "true"},
    "podLabels": {"team": "identity"},
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "edge",
}
SCALED: Values = {
    **MINIMAL,
    "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 30},
    "podDisruptionBudget": {"maxUnavailable": "25%"},
}
PUBLISHED: Values = {
    "config": {**MINIMAL["config"], "public_url": "https://auth.example.com:8443", "api_hosts": ["api.example.com"]},
    "ingress": {
        "enabled": True,
        "className": "edge",
        "annotations": {"example.com/size": "8m"},
        "hosts": ["login.acme.example", "api.example.com"],
        "tls": [{"secretName": "auth-tls", "hosts": ["auth.example.com"]}],
    },
}
ROUTED: Values = {
    "config": {**MINIMAL["config"], "api_hosts": ["api.example.com:443"]},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "edge", "namespace": "gateways"}]},
    "podDisruptionBudget": {"enabled": False},
}
MONITORING: Values = {"podSelector": {"matchLabels": {"app": "prometheus"}}}
SHUT_IN: Values = {
    "config": {**MINIMAL["config"], "forward_auth": CONFIG["forward_auth"]},
    "networkPolicy": {
        "enabled": True,
        "publicFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "managementFrom": [MONITORING],
        "forwardAuthFrom": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
        "restrictEgress": True,
        "egress": [{"ports": [{"port": 5432}]}],
    },
}
WATCHED: Values = {
    **MINIMAL,
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
}
_PAIR = {"certificate_file": "/etc/yett/files/tls/tls.crt", "key_file": "/etc/yett/files/tls/tls.key"}
ENCRYPTED: Values = {
    "config": {**MINIMAL["config"], "management_tls": {"certificates": [_PAIR]}},
    "files": [{"name": "tls", "secretName": "auth-tls"}, {"name": "ca", "configMapName": "company-ca"}],
    "serviceMonitor": {"enabled": True, "tlsConfig": {"insecureSkipVerify": True}},
}
SETS = {
    "minimal": MINIMAL,
    "ipv6": IPV6,
    "full": FULL,
    "scaled": SCALED,
    "published": PUBLISHED,
    "routed": ROUTED,
    "shut-in": SHUT_IN,
    "watched": WATCHED,
    "encrypted": ENCRYPTED,
}
VALUE_SETS = pytest.mark.parametrize("values", SETS.values(), ids=SETS)


def render(values: Values | None) -> dict[str, str]:
    return _rendered(json.dumps(values))


@cache
def _rendered(values: str) -> dict[str, str]:
    with Chart.load(CHART) as chart:
        return chart.render(json.loads(values), name="gate", namespace="edge")


def manifests(values: Values) -> list[Manifest]:
    texts = [text for name, text in render(values).items() if name.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def one(values: Values, kind: str, ending: str = "") -> Manifest:
    found = [m for m in manifests(values) if m["kind"] == kind and m["metadata"]["name"].endswith(ending)]
    assert len(found) == 1
    return found[0]


def configuration(values: Values) -> str:
    """The file that pods read."""
    (found,) = (m["data"]["yett.yaml"] for m in manifests(values) if "yett.yaml" in m.get("data", {}))
    return str(found)


def pods(values: Values) -> Iterator[Manifest]:
    for manifest in manifests(values):
        if "template" in manifest.get("spec", {}):
            yield manifest["spec"]["template"]["spec"]


def container(pod: Manifest) -> Manifest:
    assert len(pod["containers"]) == 1
    inside: Manifest = pod["containers"][0]
    return inside


def keys(values: Values, prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value and prefix + key != "resources":
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid(version: str) -> None:
    different = {json.dumps(manifest): manifest for values in SETS.values() for manifest in manifests(values)}
    for manifest in different.values():
        if manifest["kind"] not in UNCHECKED:
            kubernetes_validate.validate(manifest, version, strict=True)


@VALUE_SETS
def test_no_two_objects_have_one_name(values: Values) -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests(values)]
    assert len(set(names)) == len(names)


def test_the_oldest_cluster_that_the_chart_admits_is_checked() -> None:
    oldest = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["kubeVersion"]
    assert oldest == f">={KUBERNETES[0]}-0"


@VALUE_SETS
def test_helm_has_nothing_to_say(values: Values) -> None:
    report = lint(CHART, values, strict=True)
    assert report["errors"] == []
    assert {m["error"] for m in report["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (None, "config.public_url is missing: set it to the URL that clients reach identity at"),
        ({"config": {"public_url": "auth.example.com"}}, "at '/config/public_url'"),
        ({**MINIMAL, "replicas": 3}, "additional properties 'replicas' not allowed"),
        ({**MINIMAL, "replicaCount": 0}, "at '/replicaCount': minimum: got 0, want 1"),
        ({**MINIMAL, "replicaCount": "3"}, "at '/replicaCount': got string, want integer"),
        ({**MINIMAL, "image": {"digest": "sha256:12"}}, "at '/image/digest'"),
        ({**MINIMAL, "securityContext": {"runAsUser": 0}}, "additional properties 'securityContext' not allowed"),
        ({**MINIMAL, "service": {"public": {"port": 70000}}}, "at '/service/public/port': maximum"),
        ({**MINIMAL, "service": {"admin": {"port": 1}}}, "additional properties 'admin' not allowed"),
        ({**MINIMAL, "masterKey": {"secretName": "No Name"}}, "at '/masterKey/secretName'"),
        ({**MINIMAL, "masterKey": {"value": "c2VjcmV0"}}, "additional properties 'value' not allowed"),
        ({**MINIMAL, "mail": {"secretName": "post", "password": "x"}}, "additional properties 'password' not allowed"),
        ({**MINIMAL, "geoip": {"claimName": "places", "file": "../city.mmdb"}}, "at '/geoip/file'"),
        ({**MINIMAL, "resources": {"limits": {"memory": "much"}}}, "at '/resources/limits/memory'"),
        (
            {**MINIMAL, "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 2}},
            "autoscaling.maxReplicas must not be smaller than autoscaling.minReplicas",
        ),
        ({**MINIMAL, "podDisruptionBudget": {"maxUnavailable": 0}}, "at '/podDisruptionBudget/maxUnavailable'"),
        ({**MINIMAL, "ingress": {"hosts": ["https://a.example"]}}, "at '/ingress/hosts/0'"),
        ({**MINIMAL, "httpRoute": {"enabled": True}}, "httpRoute.parentRefs is empty"),
        ({**MINIMAL, "files": [{"name": "data", "secretName": "x"}]}, "at '/files/0/name'"),
        ({**MINIMAL, "files": [{"name": "ca"}]}, "files: ca has to name either a secretName or a configMapName"),
        ({**MINIMAL, "podLabels": {"app.kubernetes.io/name": "x"}}, "invalid propertyName 'app.kubernetes.io/name'"),
        ({**MINIMAL, "preStopSeconds": 30}, "terminationGracePeriodSeconds must be larger than preStopSeconds"),
        *(
            ({"config": {"public_url": "https://a.example", key: "x"}}, f"config.{key} is a secret")
            for key in (
                *("database_url", "database_system_url", "database_owner_url", "database_admin_url"),
                "mail_password",
                "sink_secrets",
            )
        ),
        (
            {"config": {"public_url": "https://a.example", "geoip_database": "x"}, "geoip": {"claimName": "places"}},
            "config.geoip_database is set by the chart",
        ),
        (
            {"config": {"public_url": "https://a.example", "forward_auth": {"listen": "0.0.0.0:1"}}},
            "config.forward_auth.listen is set by the chart",
        ),
        *(
            ({"config": {"public_url": "https://a.example", key: "x"}}, f"config.{key} is set by the chart")
            for key in ("listen", "management_listen", "data_dir", "master_key_file")
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(values: Values | None, sentence: str) -> None:
    with pytest.raises(HelmError) as refused:
        render(values)
    assert sentence in str(refused.value)


@VALUE_SETS
def test_a_pod_may_do_nothing_beyond_its_work(values: Values) -> None:
    for pod in pods(values):
        inside = container(pod)
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert inside["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"memory", "cpu"} <= set(inside["resources"]["limits"])
        writable = {mount["mountPath"] for mount in inside["volumeMounts"] if not mount.get("readOnly")}
        assert writable == {"/var/lib/yett", "/tmp"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        kinds = {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}
        assert all(set(volume) & kinds for volume in pod["volumes"])


@VALUE_SETS
def test_what_a_pod_mounts_is_there_and_readable_to_its_group_only(values: Values) -> None:
    for pod in pods(values):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in container(pod)["volumeMounts"]} == set(volumes)
        for volume in volumes.values():
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440
            assert volume.get("persistentVolumeClaim", {"readOnly": True})["readOnly"] is True


def test_serving_pods_never_see_the_owner_of_the_database() -> None:
    assert "own" in json.dumps(one(FULL, "Job"))
    assert '"own"' not in json.dumps(one(FULL, "Deployment"))
    assert "OWNER" not in json.dumps(one(FULL, "Deployment"))


def test_no_secret_travels_in_the_environment() -> None:
    for pod in pods(FULL):
        assert not [entry for entry in container(pod)["env"] if "valueFrom" in entry]
        assert "envFrom" not in container(pod)


def test_only_serving_pods_see_the_password_of_the_mail_server() -> None:
    assert "post" in json.dumps(one(FULL, "Deployment"))
    assert '"post"' not in json.dumps(one(FULL, "Job"))
    assert "MAIL" not in json.dumps([*pods(MINIMAL)])


def test_the_migration_needs_nothing_that_is_made_after_it() -> None:
    job = one(MINIMAL, "Job")
    pod = job["spec"]["template"]["spec"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "serviceAccountName" not in pod
    assert all("configMap" not in volume for volume in pod["volumes"])


@VALUE_SETS
def test_services_reach_the_ports_that_pods_open(values: Values) -> None:
    deployment = one(values, "Deployment")
    opened = {
        port["name"]: port["containerPort"] for port in container(deployment["spec"]["template"]["spec"])["ports"]
    }
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    services = [m for m in manifests(values) if m["kind"] == "Service"]
    assert {s["spec"]["ports"][0]["targetPort"] for s in services} == set(opened)
    asked = ("forward-auth",) if "forward_auth" in values["config"] else ()
    assert set(opened) == {"public", "management", *asked}
    assert len(services) == len(opened)
    assert all(service["spec"]["selector"].items() <= labels.items() for service in services)
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_service_never_picks_the_pod_of_the_migration() -> None:
    labels = one(MINIMAL, "Job")["spec"]["template"]["metadata"]["labels"]
    for service in (m for m in manifests(MINIMAL) if m["kind"] == "Service"):
        assert not service["spec"]["selector"].items() <= labels.items()


def test_probes_ask_the_management_port() -> None:
    inside = container(one(MINIMAL, "Deployment")["spec"]["template"]["spec"])
    probes = {name: inside[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} == {"management"}
    assert probes["livenessProbe"]["path"] == "/livez"
    assert probes["readinessProbe"]["path"] == "/readyz"


def test_what_is_published_is_identity_and_apis_at_their_hosts_and_never_management() -> None:
    rules = one(PUBLISHED, "Ingress")["spec"]["rules"]
    assert [rule["host"] for rule in rules] == ["auth.example.com", "api.example.com", "login.acme.example"]
    services = {path["backend"]["service"]["name"] for rule in rules for path in rule["http"]["paths"]}
    route = one(ROUTED, "HTTPRoute")
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["spec"]["hostnames"] == ["auth.example.com", "api.example.com"]
    assert route["spec"]["parentRefs"] == [{"name": "edge", "namespace": "gateways"}]
    (rule,) = route["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert rule["backendRefs"] == [{"name": "gate-yett", "port": 80}]
    assert services == {"gate-yett"}
    assert one(PUBLISHED, "Service", "yett")["spec"]["ports"][0]["targetPort"] == "public"


def test_a_network_policy_names_who_reaches_management_and_where_pods_call() -> None:
    shut_in = one(SHUT_IN, "NetworkPolicy")["spec"]
    peers = {rule["ports"][0]["port"]: rule.get("from") for rule in shut_in["ingress"]}
    assert peers == {
        "public": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "management": [MONITORING],
        "forward-auth": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
    }
    assert [port["port"] for rule in shut_in["egress"] for port in rule["ports"]] == [53, 53, 5432]
    open_one = one(WATCHED, "NetworkPolicy")["spec"]
    assert open_one["policyTypes"] == ["Ingress"]
    assert [rule["ports"][0]["port"] for rule in open_one["ingress"]] == ["public"]
    labels = one(SHUT_IN, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert shut_in["podSelector"]["matchLabels"].items() <= labels.items()


def test_scaling_and_disruption_are_of_the_serving_pods() -> None:
    scaler, deployment = one(SCALED, "HorizontalPodAutoscaler")["spec"], one(SCALED, "Deployment")
    assert "replicas" not in deployment["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 30)
    budget = one(SCALED, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == "25%"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    job = one(SCALED, "Job")["spec"]["template"]["metadata"]["labels"]
    assert not budget["selector"]["matchLabels"].items() <= job.items()


def test_prometheus_scrapes_management_and_has_the_rules_of_the_repository() -> None:
    monitor = one(WATCHED, "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    service = one(WATCHED, "Service", "-management")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert (
        not monitor["spec"]["selector"]["matchLabels"].items()
        <= one(WATCHED, "Service", "yett")["metadata"]["labels"].items()
    )
    assert (endpoint["port"], endpoint["path"]) == (service["spec"]["ports"][0]["name"], "/metrics")
    rules = yaml.safe_load((CHART / "monitoring/alerts.yaml").read_text(encoding="utf-8"))
    assert one(WATCHED, "PrometheusRule")["spec"] == rules
    board = one(WATCHED, "ConfigMap", "-dashboard")
    assert json.loads(board["data"]["yett.json"]) == json.loads(
        (CHART / "monitoring/dashboard.json").read_text("utf-8")
    )
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_with_tls_at_management_probes_and_prometheus_speak_it() -> None:
    inside = container(one(ENCRYPTED, "Deployment")["spec"]["template"]["spec"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert inside[probe]["httpGet"]["scheme"] == "HTTPS"
    (endpoint,) = one(ENCRYPTED, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"insecureSkipVerify": True})
    at = {mount["mountPath"] for mount in inside["volumeMounts"]}
    assert {"/etc/yett/files/tls", "/etc/yett/files/ca"} <= at


def test_a_changed_config_is_a_changed_pod() -> None:
    def checksum(values: Values) -> str:
        found = one(values, "Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        assert isinstance(found, str)
        return found

    assert checksum(MINIMAL) == checksum({**MINIMAL, "replicaCount": 7})
    assert checksum(MINIMAL) != checksum(FULL)


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_a_pod_starts_a_command_that_yett_has(kind: str) -> None:
    inside = container(one(MINIMAL, kind)["spec"]["template"]["spec"])
    assert inside["command"] == ["yett"]
    command, *options = inside["args"]
    told = CliRunner().invoke(main, [command, "--help"])
    assert told.exit_code == 0
    assert all(option in told.output for option in options if option.startswith("--"))


SECRET = "postgresql+psycopg://yett@db/{key}"


def mounted(pod: Manifest, root: Path) -> dict[str, str]:
    """The pod's environment, with its secrets laid out under ``root`` as the kubelet would."""
    for volume in pod["volumes"]:
        for item in volume.get("secret", {}).get("items", ()):
            at = next(m["mountPath"] for m in container(pod)["volumeMounts"] if m["name"] == volume["name"])
            file = root / at.lstrip("/") / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(SECRET.format(key=item["key"]), encoding="utf-8")
    return {
        entry["name"]: str(root / entry["value"].lstrip("/")) if entry["name"].endswith("_FILE") else entry["value"]
        for entry in container(pod)["env"]
    }


@VALUE_SETS
def test_yett_reads_the_configuration_that_the_chart_writes(values: Values, tmp_path: Path) -> None:
    file = tmp_path / "yett.yaml"
    file.write_text(configuration(values), encoding="utf-8")
    pod = one(values, "Deployment")["spec"]["template"]["spec"]
    read = settings.load(file, mounted(pod, tmp_path))
    opened = {port["name"]: port["containerPort"] for port in container(pod)["ports"]}
    assert (read.listen.port, read.management_listen.port) == (opened["public"], opened["management"])
    asked = read.forward_auth.listen
    assert (None if asked is None else asked.port) == opened.get("forward-auth")
    assert read.public_url == values["config"]["public_url"]
    assert read.on_postgresql
    assert read.database_owner_url is None
    assert read.master_key_file.name == "master.key"
    if values is FULL:
        assert read.hashing.queue == 100000
        assert [str(network) for network in read.forward_auth.peers] == ["10.0.0.0/24"]
        assert [route.name for route in read.routes] == ["orders"]
        assert read.database_url.get_secret_value() == "postgresql+psycopg://yett@db/app"
        assert read.mail_password is not None
        assert read.mail_password.get_secret_value() == SECRET.format(key="smtp")
        assert read.geoip_database == Path("/etc/yett/geoip/2026/city.mmdb")


def test_yett_reads_the_secrets_of_sinks(tmp_path: Path) -> None:
    sink = {"name": "splunk", "kind": "splunk_hec", "url": "https://splunk.example.com:8088"}
    values = {**MINIMAL, "config": {**MINIMAL["config"], "sinks": [sink]}, "sinks": {"secretName": "siem"}}
    assert "siem" not in json.dumps(one(values, "Job"))
    pod = one(values, "Deployment")["spec"]["template"]["spec"]
    environ = mounted(pod, tmp_path)
    Path(environ["YETT_SINK_SECRETS_FILE"]).write_text('{"splunk": "a-token"}', encoding="utf-8")
    file = tmp_path / "yett.yaml"
    file.write_text(configuration(values), encoding="utf-8")
    assert settings.load(file, environ).sink_secrets["splunk"].get_secret_value() == "a-token"


def test_yett_reads_the_environment_of_the_migration(tmp_path: Path) -> None:
    read = settings.load(None, mounted(one(FULL, "Job")["spec"]["template"]["spec"], tmp_path))
    assert read.database_owner_url is not None
    assert read.database_owner_url.get_secret_value() == "postgresql+psycopg://yett@db/own"


def test_the_migration_of_an_installation_on_plain_http_reads_its_environment(tmp_path: Path) -> None:
    unsafe: Values = {"config": {"public_url": "http://auth.internal", "unsafe_plain_http": True}}
    read = settings.load(None, mounted(one(unsafe, "Job")["spec"]["template"]["spec"], tmp_path))
    assert read.unsafe_plain_http
    for values in (MINIMAL, {"config": {**CONFIG, "unsafe_plain_http": False}}):
        names = {entry["name"] for entry in container(one(values, "Job")["spec"]["template"]["spec"])["env"]}
        assert "YETT_UNSAFE_PLAIN_HTTP" not in names


def test_the_notes_tell_the_public_url_and_warn_without_migrations() -> None:
    notes = next(text for name, text in render(IPV6).items() if name.endswith("NOTES.txt"))
    assert "https://auth.example.com" in notes
    assert "yett migrate" in notes


def test_every_value_is_documented_and_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert [key for key in keys(values) if f"`{key}" not in readme] == []
    assert set(schema["properties"]) == {*values, "global"}
    assert schema["additionalProperties"] is False


def test_chart_and_project_carry_one_version(project_version: str) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == project_version


@pytest.fixture
def project_version() -> str:
    text = (CHART.parent / "pyproject.toml").read_text(encoding="utf-8")
    return next(line.split('"')[1] for line in text.splitlines() if line.startswith("version = "))
