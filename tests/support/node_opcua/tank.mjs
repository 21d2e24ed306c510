// What happens in a plant: a tank with an alarm, and a press whose methods are called.

import {
  DataType, StatusCodes, Variant, VariantArrayType, coerceLocalizedText,
} from "node-opcua";

function argument(name, dataType, valueRank = -1) {
  return { name, dataType, valueRank, description: { text: name } };
}

function out(dataType, value) {
  return new Variant({ dataType, value });
}

// Returns the orders that make things happen.
export function addTank(space, plant) {
  space.installAlarmsAndConditionsService();
  const tank = plant.addObject({
    browseName: "Tank", nodeId: "s=Tank", eventNotifier: 1,
    notifierOf: space.rootFolder.objects.server,
    organizedBy: space.rootFolder.objects,
  });
  const level = plant.addVariable({
    browseName: "Level", nodeId: "s=Tank.Level", componentOf: tank,
    dataType: DataType.Double, eventSourceOf: tank, minimumSamplingInterval: 0,
    value: { dataType: DataType.Double, value: 0.5 },
  });
  const alarm = plant.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
    browseName: "LevelAlarm", nodeId: "s=Tank.LevelAlarm", componentOf: tank,
    conditionName: "LevelAlarm", conditionSource: level, inputNode: level,
    highHighLimit: 0.9, highLimit: 0.8, lowLimit: 0.2, lowLowLimit: 0.1,
    optionals: ["ConfirmedState", "Confirm"],
  });
  return {
    level: ({ value }) => level.setValueFromSource({ dataType: DataType.Double, value }),
    happen: ({ message, severity, count }) => {
      for (let n = 0; n < (count ?? 1); n++) {
        tank.raiseEvent("BaseEventType", {
          message: { dataType: DataType.LocalizedText,
            value: coerceLocalizedText(count ? `${message} ${n}` : message) },
          severity: { dataType: DataType.UInt16, value: severity },
        });
      }
    },
    acknowledged: () => alarm.ackedState.id.readValue().value.value,
  };
}

export function addPress(space, plant) {
  const press = plant.addObject({
    browseName: "Press", nodeId: "s=Press", organizedBy: space.rootFolder.objects,
  });
  const calls = [];
  const methods = {
    Start: {
      inputs: [], outputs: [],
      work: () => ({ statusCode: StatusCodes.Good, outputArguments: [] }),
    },
    SetSpeed: {
      inputs: [argument("Speed", DataType.Double)],
      outputs: [argument("Before", DataType.Double)],
      work: ([speed]) => speed.value > 100
        ? { statusCode: StatusCodes.BadOutOfRange }
        : { statusCode: StatusCodes.Good, outputArguments: [out(DataType.Double, 12.5)] },
    },
    Load: {
      inputs: [
        argument("Recipe", DataType.String), argument("Count", DataType.UInt16),
        argument("Widths", DataType.Double, 1),
      ],
      outputs: [argument("Job", DataType.String), argument("Total", DataType.Int32)],
      work: ([recipe, count, widths]) => ({
        statusCode: StatusCodes.Good,
        outputArguments: [
          out(DataType.String, `${recipe.value}-1`),
          out(DataType.Int32, count.value * widths.value.length),
        ],
      }),
    },
  };
  for (const [name, { inputs, outputs, work }] of Object.entries(methods)) {
    const method = plant.addMethod(press, {
      browseName: name, nodeId: `s=Press.${name}`,
      inputArguments: inputs, outputArguments: outputs,
    });
    method.bindMethod((given, _context, callback) => {
      calls.push([name, given.map((each) =>
        each.arrayType === VariantArrayType.Array ? [...each.value] : each.value)]);
      callback(null, work(given));
    });
  }
  const element = plant.addVariable({
    browseName: "Zones", nodeId: "s=Press.Zones[7]", componentOf: press,
    dataType: DataType.Double, valueRank: 1, arrayDimensions: [3],
    minimumSamplingInterval: 0,
    value: new Variant({
      dataType: DataType.Double, arrayType: VariantArrayType.Array,
      value: new Float64Array([10, 20, 30]),
    }),
  });
  return {
    calls: () => calls,
    zones: ({ values }) => element.setValueFromSource(new Variant({
      dataType: DataType.Double, arrayType: VariantArrayType.Array,
      value: new Float64Array(values),
    })),
    zonesNow: () => [...element.readValue().value.value],
  };
}
