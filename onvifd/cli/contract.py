"""Writes the contract we serve: `python -m onvifd.cli.contract [FOLDER]`, or `make contract`.

The dataclasses of `onvifd.onvif.types` that the operations of our services use are declared to spyne, and spyne writes the WSDL of
each service and the XML schemas. What spyne cannot express is put right afterwards with lxml:

- schemas: one file per namespace, shared by all services, in place of a copy in every WSDL;
- elements that belong to another namespace than their parent's type become references;
- mixed content, xs:QName, and content that is text and elements at once;
- messages of an operation whose element is not in the namespace of its service;
- soapAction is the full action, since spyne writes the bare name;
- types that contain themselves;
- xs:list values are declared as strings, which is what they are on the wire.

spyne 2.14 imports on Python 3.11 only; elsewhere this tool says so and ends with an error. The files are committed.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import FunctionType
from typing import Any

from lxml import etree

from onvifd.onvif import services as services_package
from onvifd.onvif.soap.dispatch import Service
from onvifd.onvif.soap.namespaces import PREFIXES, WSRF_R, XML, XOP, XS
from onvifd.onvif.soap.schema import Element, FieldPlan, Form, Plan, plan_of, tag_of

WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"
ADDRESS = "http://localhost"
"""Host of soap:address in the files; the server writes its own in its place."""
NO_SPYNE = 3
"""Exit status where spyne cannot be imported."""
_PREFIX_OF = {uri: prefix for prefix, uri in PREFIXES.items()} | {WSRF_R: "wsrf-r"}
_NSMAP = {prefix: uri for uri, prefix in _PREFIX_OF.items()}
_REFERENCES = ("type", "ref", "base", "itemType", "element", "message", "binding")
"""Attributes whose value is a qualified name."""


def served() -> list[type[Service]]:
    """All service classes of `onvifd.onvif.services` that have operations, by namespace."""
    for module in pkgutil.iter_modules(services_package.__path__, services_package.__name__ + "."):
        importlib.import_module(module.name)
    found: dict[str, type[Service]] = {}
    waiting = Service.__subclasses__()
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if (
            cls.__module__.startswith(services_package.__name__ + ".")
            and hasattr(cls, "namespace")
            and cls.operations()
        ):
            found[cls.namespace] = cls
    return [found[namespace] for namespace in sorted(found)]


def file_name(service: type[Service]) -> str:
    """`/onvif/media_service` is described in `media.wsdl`."""
    return service.path.rsplit("/", 1)[-1].removesuffix("_service") + ".wsdl"


# ---- declaring to spyne ---------------------------------------------------------------------------


class Declarer:
    """Makes spyne models of schema classes."""

    def __init__(self) -> None:
        import spyne.const.xml as known
        import spyne.model as model
        from spyne.model.complex import ComplexModel, ComplexModelMeta, XmlAttribute, XmlData

        # spyne takes XOP for one of the namespaces that need no schema, and then stumbles over its types.
        for table in (known.PREFMAP, known.NSMAP):
            for key in [key for key, value in table.items() if XOP in (key, value)]:
                del table[key]
        self._model: Any = model
        self._complex: Any = ComplexModel
        self._meta: Any = ComplexModelMeta
        self._attribute: Any = XmlAttribute
        self._data: Any = XmlData
        self._made: dict[type, Any] = {}
        self._enums: dict[type, Any] = {}
        self._making: list[type] = []

    @property
    def declared(self) -> Iterable[type]:
        return self._made.keys()

    def model(self, cls: type) -> Any:
        """The spyne model of a schema class."""
        if cls not in self._made:
            plan = plan_of(cls)
            namespace, name = tag_of(cls)[1:].split("}")
            base = base_of(cls)
            inherited = {field.py for field in plan_of(base).fields} if base else set()
            own = [field for field in plan.fields if field.py not in inherited]
            mixed = is_mixed(plan)
            self._making.append(cls)
            info = [
                (field.spec.name or field.py, self._member(plan, field))
                for field in own
                if not (mixed and field.spec.kind == "text")
            ]
            self._making.pop()
            parent = self.model(base) if base else self._complex
            body = {"__namespace__": namespace, "__type_name__": name, "_type_info": info}
            self._made[cls] = self._meta(name, (parent,), body)
        return self._made[cls]

    def _member(self, plan: Plan, field: FieldPlan) -> Any:
        least = 1 if field.required else 0
        most: Any = "unbounded" if field.repeated else 1
        if field.spec.kind == "any":
            # Beside elements of our own, content must be of another namespace, or readers could not tell them apart.
            alone = len(plan.children) == 1
            return self._model.AnyXml(
                nillable=False,
                schema_tag=f"{{{XS}}}any",
                process_contents="lax",
                namespace="##any" if alone else "##other",
                min_occurs=0,
                max_occurs="unbounded",
            )
        if field.spec.kind == "text":
            return self._data(self._simple(field))
        if field.spec.kind == "attribute":
            return self._attribute(self._simple(field), use="required" if field.required else "optional")
        if field.plan is not None and field.hint in self._making:
            # A type that contains itself: `Schemas.amend` names it.
            return self._model.Unicode.customize(min_occurs=least, max_occurs=most, nillable=False)
        kind = self.model(field.hint) if field.plan is not None else self._simple(field)
        return kind.customize(min_occurs=least, max_occurs=most, nillable=field.spec.nillable)

    def _simple(self, field: FieldPlan) -> Any:
        hint = field.hint
        if field.plan is None and field.write is None:
            return self._model.AnyXml
        if field.spec.tokens or field.spec.form is Form.QNAME:
            return self._model.Unicode
        if field.spec.form is Form.DATETIME:
            return self._model.DateTime
        if field.spec.form is Form.HEX:
            return self._model.ByteArray(encoding="hex")
        if issubclass(hint, StrEnum):
            if hint not in self._enums:
                module = sys.modules[hint.__module__]
                made = self._model.Enum(*(str(member) for member in hint), type_name=hint.__name__)
                made.__namespace__ = module.NAMESPACE
                self._enums[hint] = made
            return self._enums[hint]
        names: dict[type, str] = {
            str: "Unicode",
            bool: "Boolean",
            int: "Integer",
            float: "Float",
            timedelta: "Duration",
            bytes: "ByteArray",
        }
        return getattr(self._model, names[hint])


def base_of(cls: type) -> type | None:
    """The schema class that a schema class extends."""
    base = cls.__bases__[0]
    return base if "__xml_tag__" in base.__dict__ else None


def type_of(cls: type) -> type:
    """The type of an element: a class that adds nothing to its base is but an element of the base's type."""
    base = base_of(cls)
    same = base is not None and len(plan_of(base).fields) == len(plan_of(cls).fields)
    return type_of(base) if base is not None and same else cls


def is_mixed(plan: Plan) -> bool:
    """Whether a type has text and elements."""
    return plan.text is not None and bool(plan.children)


def spyne_wsdl(service: type[Service], declarer: Declarer) -> Element:
    """The WSDL of a service as spyne writes it."""
    from spyne import Application, rpc
    from spyne import ServiceBase as SpyneService
    from spyne.interface.wsdl import Wsdl11
    from spyne.protocol.soap import Soap12

    members = {}
    for item in service.operations():
        request = declarer.model(type_of(item.request))
        options = {
            "_returns": declarer.model(type_of(item.response)),
            "_body_style": "bare",
            "_in_message_name": item.name,
            "_out_message_name": tag_of(item.response),
            "_operation_name": item.request.__name__,
            "_no_ctx": True,
        }
        empty = not plan_of(item.request).fields
        code = (_without if empty else _with).__code__
        # spyne tells operations apart by the name of the function.
        function = FunctionType(code, {}, item.request.__name__)
        members[function.__name__] = rpc(**options)(function) if empty else rpc(request, **options)(function)
    name = file_name(service).removesuffix(".wsdl").capitalize()
    application = Application(
        [type(name, (SpyneService,), members)],
        tns=service.namespace,
        name=name,
        in_protocol=Soap12(),
        out_protocol=Soap12(),
    )
    application.transport = "http://schemas.xmlsoap.org/soap/http"
    document = Wsdl11(application.interface)
    document.build_interface_document(ADDRESS + service.path)
    return with_known_prefixes(etree.fromstring(document.get_interface_document()))


# What spyne reads the arguments of operations from: with and without a request that has content. A docstring would be published.
def _without() -> None: ...


def _with(request: object) -> None: ...


# ---- putting right ----------------------------------------------------------------------------------


def with_known_prefixes(root: Element) -> Element:
    """spyne numbers its prefixes; use the ones everybody knows. Returns a copy of the root."""
    for node in root.iter(etree.Element):
        for name in _REFERENCES:
            prefix, colon, local = node.get(name, "").partition(":")
            if colon:
                node.set(name, f"{_PREFIX_OF[node.nsmap[prefix]]}:{local}")
    copy = etree.Element(root.tag, root.attrib, nsmap=_NSMAP)
    copy.extend(root)
    return copy


class Schemas:
    """The schemas of all services, merged by namespace."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[tuple[str, str], Element]] = {}

    def take(self, wsdl: Element) -> None:
        """Move the schemas out of a WSDL."""
        for schema in wsdl.findall(f"{{{WSDL}}}types/{{{XS}}}schema"):
            parts = self._parts.setdefault(schema.get("targetNamespace"), {})
            for node in schema:
                if node.tag != f"{{{XS}}}import":
                    parts.setdefault((etree.QName(node).localname, node.get("name")), node)

    def amend(self, classes: Iterable[type]) -> None:
        """Put right what spyne could not say of these classes."""
        for cls in classes:
            namespace, name = tag_of(cls)[1:].split("}")
            node = self._parts.get(namespace, {}).get(("complexType", name))
            if node is not None:
                self._amend_type(node, cls)

    def _amend_type(self, node: Element, cls: type) -> None:
        plan = plan_of(cls)
        namespace = tag_of(cls)[1:].split("}")[0]
        if is_mixed(plan):
            node.set("mixed", "true")
            for content in node.findall(f"{{{XS}}}complexContent"):
                content.set("mixed", "true")
        members = {member.get("name"): member for member in node.iter(f"{{{XS}}}element", f"{{{XS}}}attribute")}
        for field in plan.fields:
            member = members.get(field.spec.name)
            if member is None:
                continue
            if field.qname:
                member.set("type", "xs:QName")
            if field.plan is not None and member.get("type") == "xs:string":
                uri, name = tag_of(type_of(field.hint))[1:].split("}")
                member.set("type", f"{_PREFIX_OF[uri]}:{name}")
            if field.spec.kind == "attribute" and field.spec.ns == XML:
                del member.attrib["name"], member.attrib["type"]
                member.set("ref", "xml:lang")
            elif field.spec.ns and field.spec.ns != namespace:
                self._refer(member, field)

    def _refer(self, member: Element, field: FieldPlan) -> None:
        """Replace a local element or attribute by a reference to a global one of another namespace."""
        assert field.spec.ns is not None
        name = member.attrib.pop("name")
        declared = etree.Element(member.tag, name=name, type=member.attrib.pop("type"), nsmap=_NSMAP)
        if member.attrib.pop("nillable", None):
            declared.set("nillable", "true")
        self._parts.setdefault(field.spec.ns, {})[(field.spec.kind, name)] = declared
        member.set("ref", f"{_PREFIX_OF[field.spec.ns]}:{name}")

    def files(self) -> dict[str, bytes]:
        """The schema files by name."""
        return {schema_file(namespace): self._file(namespace) for namespace in sorted(self._parts)}

    def _file(self, namespace: str) -> bytes:
        root = etree.Element(f"{{{XS}}}schema", nsmap=_NSMAP)
        root.set("targetNamespace", namespace)
        root.set("elementFormDefault", "qualified")
        parts = [node for _, node in sorted(self._parts[namespace].items(), key=lambda item: item[0])]
        used = {_uri(node.get(a)) for part in parts for node in part.iter() for a in _REFERENCES if node.get(a)}
        for other in sorted(used - {namespace, XS}):
            place = {"namespace": other}
            if other != XML:
                place["schemaLocation"] = schema_file(other)
            etree.SubElement(root, f"{{{XS}}}import", place)
        root.extend(parts)
        return finish(root, {_PREFIX_OF[uri] for uri in used if uri in _PREFIX_OF})


def _uri(name: str) -> str:
    prefix = name.partition(":")[0]
    return XML if prefix == "xml" else _NSMAP[prefix]


def schema_file(namespace: str) -> str:
    return f"{_PREFIX_OF[namespace]}.xsd"


def amend_wsdl(root: Element, service: type[Service], schemas: Iterable[str]) -> bytes:
    """Put right a WSDL whose schemas were moved out."""
    types = root.find(f"{{{WSDL}}}types")
    for node in list(types):
        types.remove(node)
    holder = etree.SubElement(types, f"{{{XS}}}schema")
    for namespace in schemas:
        etree.SubElement(holder, f"{{{XS}}}import", namespace=namespace, schemaLocation=schema_file(namespace))
    prefix = _PREFIX_OF[service.namespace]
    for node in root.iter(f"{{{WSDL}}}input", f"{{{WSDL}}}output"):
        if node.get("message"):
            node.set("message", f"{prefix}:{node.get('message').partition(':')[2]}")
    for operation in root.iter(f"{{{WSDL}}}operation"):
        operation.attrib.pop("parameterOrder", None)
    for action in root.iter(f"{{{SOAP12}}}operation"):
        action.set("soapAction", f"{service.namespace}/{action.get('soapAction')}")
    used = {part.get("element").partition(":")[0] for part in root.iter(f"{{{WSDL}}}part")} | {prefix}
    return finish(root, used)


def finish(root: Element, prefixes: set[str]) -> bytes:
    """Serialize with the declarations that are needed, `prefixes` being those in attribute values."""
    etree.cleanup_namespaces(root, keep_ns_prefixes=sorted(prefixes))
    etree.indent(root)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8")) + b"\n"


# ---- the whole ----------------------------------------------------------------------------------------


def build(services: Iterable[type[Service]]) -> dict[str, bytes]:
    """All files of the contract by name. Raises ImportError where spyne cannot be imported."""
    declarer, schemas, documents = Declarer(), Schemas(), []
    for service in services:
        root = spyne_wsdl(service, declarer)
        schemas.take(root)
        documents.append((service, root))
    schemas.amend(declarer.declared)
    files = schemas.files()
    for service, root in documents:
        used = sorted(
            {tag_of(kind)[1:].split("}")[0] for op in service.operations() for kind in (op.request, op.response)}
        )
        files[file_name(service)] = amend_wsdl(root, service, used)
    return files


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files, and remove those of earlier contracts."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.wsdl"), *folder.glob("*.xsd")]:
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def load(folder: Path) -> dict[str, Any]:
    """Every WSDL of a folder as a zeep client: raises if zeep cannot use it."""
    zeep = importlib.import_module("zeep")
    settings = zeep.Settings(strict=True)
    return {path.name: zeep.Client(str(path), settings=settings) for path in sorted(folder.glob("*.wsdl"))}


def main(folder: Path | None = None, say: Callable[[str], object] = print) -> int:
    """Write the contract to `folder`, by default `wsdl/` of the source tree, and check it."""
    folder = folder or Path(__file__).resolve().parents[2] / "wsdl"
    try:
        files = build(served())
    except ImportError as error:
        say(f"spyne cannot be imported on Python {sys.version_info.major}.{sys.version_info.minor}: {error}")
        say("The contract is written on Python 3.11 with the extra `contract`: pip install -e '.[contract]'")
        return NO_SPYNE
    write(folder, files)
    clients = load(folder)
    say(f"{len(files)} files in {folder.name}/, {len(clients)} services load in zeep")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
