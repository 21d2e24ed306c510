"""The few nodes of the standard that a small server needs (IEC 62541-5).

The library would make the six thousand that describe all of OPC UA, which takes it
seconds; a client that connects, browses and subscribes asks for those that are here.
"""

from collections.abc import Iterator
from pathlib import Path

from asyncua import ua
from asyncua.server.internal_server import InternalServer
from asyncua.ua.object_ids import ObjectIdNames

_I = ua.ObjectIds
_C = ua.NodeClass
_TREE: tuple[tuple[int, ua.NodeClass, int, int, int], ...] = (
    # node, class, parent, reference from the parent, type definition or data type
    (_I.RootFolder, _C.Object, 0, 0, 0),
    (_I.ObjectsFolder, _C.Object, _I.RootFolder, _I.Organizes, 0),
    (_I.TypesFolder, _C.Object, _I.RootFolder, _I.Organizes, 0),
    (_I.ViewsFolder, _C.Object, _I.RootFolder, _I.Organizes, 0),
    (_I.ObjectTypesFolder, _C.Object, _I.TypesFolder, _I.Organizes, 0),
    (_I.VariableTypesFolder, _C.Object, _I.TypesFolder, _I.Organizes, 0),
    (_I.DataTypesFolder, _C.Object, _I.TypesFolder, _I.Organizes, 0),
    (_I.ReferenceTypesFolder, _C.Object, _I.TypesFolder, _I.Organizes, 0),
    (_I.BaseObjectType, _C.ObjectType, _I.ObjectTypesFolder, _I.Organizes, 0),
    (_I.FolderType, _C.ObjectType, _I.BaseObjectType, _I.HasSubtype, 0),
    (_I.ServerType, _C.ObjectType, _I.BaseObjectType, _I.HasSubtype, 0),
    (_I.BaseVariableType, _C.VariableType, _I.VariableTypesFolder, _I.Organizes, 0),
    (_I.BaseDataVariableType, _C.VariableType, _I.BaseVariableType, _I.HasSubtype, 0),
    (_I.AnalogItemType, _C.VariableType, _I.BaseDataVariableType, _I.HasSubtype, 0),
    (_I.PropertyType, _C.VariableType, _I.BaseVariableType, _I.HasSubtype, 0),
    (_I.References, _C.ReferenceType, _I.ReferenceTypesFolder, _I.Organizes, 0),
    (_I.NonHierarchicalReferences, _C.ReferenceType, _I.References, _I.HasSubtype, 0),
    (_I.HasTypeDefinition, _C.ReferenceType, _I.NonHierarchicalReferences,
     _I.HasSubtype, 0),
    (_I.HierarchicalReferences, _C.ReferenceType, _I.References, _I.HasSubtype, 0),
    (_I.Organizes, _C.ReferenceType, _I.HierarchicalReferences, _I.HasSubtype, 0),
    (_I.HasChild, _C.ReferenceType, _I.HierarchicalReferences, _I.HasSubtype, 0),
    (_I.HasSubtype, _C.ReferenceType, _I.HasChild, _I.HasSubtype, 0),
    (_I.Aggregates, _C.ReferenceType, _I.HasChild, _I.HasSubtype, 0),
    (_I.HasProperty, _C.ReferenceType, _I.Aggregates, _I.HasSubtype, 0),
    (_I.HasComponent, _C.ReferenceType, _I.Aggregates, _I.HasSubtype, 0),
    (_I.BaseDataType, _C.DataType, _I.DataTypesFolder, _I.Organizes, 0),
    (_I.Number, _C.DataType, _I.BaseDataType, _I.HasSubtype, 0),
    *((number, _C.DataType, _I.Number, _I.HasSubtype, 0) for number in range(2, 12)),
    *((number, _C.DataType, _I.BaseDataType, _I.HasSubtype, 0)
      for number in (1, *range(12, 24))),
    (_I.Enumeration, _C.DataType, _I.BaseDataType, _I.HasSubtype, 0),
    (_I.ServerState, _C.DataType, _I.Enumeration, _I.HasSubtype, 0),
    (_I.ServerStatusDataType, _C.DataType, _I.Structure, _I.HasSubtype, 0),
    (_I.BuildInfo, _C.DataType, _I.Structure, _I.HasSubtype, 0),
    (_I.EUInformation, _C.DataType, _I.Structure, _I.HasSubtype, 0),
    (_I.Server, _C.Object, _I.ObjectsFolder, _I.Organizes, _I.ServerType),
    (_I.Server_ServerCapabilities, _C.Object, _I.Server, _I.HasComponent, 0),
    (_I.Server_ServerCapabilities_OperationLimits, _C.Object,
     _I.Server_ServerCapabilities, _I.HasComponent, 0),
)  # fmt: skip
_STATUS = _I.Server_ServerStatus
_BUILD = _I.Server_ServerStatus_BuildInfo
_OWN_VARIABLES: tuple[tuple[int, int, int, object], ...] = (
    # node, parent, data type, value
    (_I.Server_NamespaceArray, _I.Server, _I.String, []),
    (_I.Server_ServerArray, _I.Server, _I.String, []),
    (_I.Server_ServiceLevel, _I.Server, _I.Byte, 255),
    (_STATUS, _I.Server, _I.ServerStatusDataType, ua.ServerStatusDataType),
    (_I.Server_ServerStatus_StartTime, _STATUS, _I.DateTime, None),
    (_I.Server_ServerStatus_CurrentTime, _STATUS, _I.DateTime, None),
    (_I.Server_ServerStatus_State, _STATUS, _I.ServerState, 0),
    (_BUILD, _STATUS, _I.BuildInfo, ua.BuildInfo),
    (_I.Server_ServerStatus_BuildInfo_ProductUri, _BUILD, _I.String, ""),
    (_I.Server_ServerStatus_BuildInfo_ProductName, _BUILD, _I.String, ""),
    (_I.Server_ServerStatus_BuildInfo_ManufacturerName, _BUILD, _I.String, ""),
    (_I.Server_ServerStatus_BuildInfo_SoftwareVersion, _BUILD, _I.String, ""),
    (_I.Server_ServerStatus_BuildInfo_BuildNumber, _BUILD, _I.String, ""),
    (_I.Server_ServerStatus_BuildInfo_BuildDate, _BUILD, _I.DateTime, None),
)
_LIMITS = "Server_ServerCapabilities_OperationLimits_"


class SmallServer(InternalServer):  # type: ignore[misc]  # seen as untyped
    """A server without the six thousand nodes that describe OPC UA itself."""

    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        """Make the nodes of the standard that are in use."""
        for number, kind, parent, reference, type_id in _TREE:
            attributes = _ATTRIBUTES[kind]()
            self._add(number, kind, (parent, reference), type_id, attributes)
        for number, parent, data_type, value in self._variables():
            made = value() if callable(value) else value
            attributes = ua.VariableAttributes()
            attributes.DataType = ua.NodeId(data_type)
            attributes.Value = ua.Variant(made, _variant_type(data_type))
            attributes.ValueRank = (
                ua.ValueRank.OneDimension if made == [] else ua.ValueRank.Scalar
            )
            type_id = _I.BaseDataVariableType
            self._add(
                number, _C.Variable, (parent, _I.HasComponent), type_id, attributes
            )

    @staticmethod
    def _variables() -> Iterator[tuple[int, int, int, object]]:
        yield from _OWN_VARIABLES
        parent = _I.Server_ServerCapabilities_OperationLimits
        for number, name in ObjectIdNames.items():
            if name.startswith(_LIMITS):
                yield number, parent, _I.UInt32, 0

    def _add(
        self,
        number: int,
        kind: ua.NodeClass,
        place: tuple[int, int],
        type_id: int,
        attributes: ua.NodeAttributes,
    ) -> None:
        name = ObjectIdNames[number].rpartition("_")[2]
        attributes.DisplayName = ua.LocalizedText(name)
        item = ua.AddNodesItem()
        item.RequestedNewNodeId = ua.NodeId(number)
        item.BrowseName = ua.QualifiedName(name)
        item.NodeClass = kind
        item.ParentNodeId, item.ReferenceTypeId = map(ua.NodeId, place)
        item.TypeDefinition = ua.NodeId(type_id)
        item.NodeAttributes = attributes
        for result in self.node_mgt_service.try_add_nodes([item], check=False):
            raise RuntimeError(f"the server refuses its own node {result}")


_ATTRIBUTES = {
    _C.Object: ua.ObjectAttributes,
    _C.ObjectType: ua.ObjectTypeAttributes,
    _C.VariableType: ua.VariableTypeAttributes,
    _C.ReferenceType: ua.ReferenceTypeAttributes,
    _C.DataType: ua.DataTypeAttributes,
}


def _variant_type(data_type: int) -> ua.VariantType:
    if data_type == _I.ServerState:
        return ua.VariantType.Int32
    if data_type > _I.DiagnosticInfo:
        return ua.VariantType.ExtensionObject
    return ua.VariantType(data_type)
