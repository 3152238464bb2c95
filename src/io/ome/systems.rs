//! Coordinate systems: those of OME-Zarr 0.6 in place of axes, and the alternatives that transformations may lead to.

use serde_json::Value;

use super::{Dataset, Multiscale, OmeAxis, Transformation};

/// The member of 0.6 that holds the systems and their axes.
const SYSTEMS: &str = "coordinateSystems";

/// The name that an `input` or `output` gives: a string, or the member of an object.
pub(super) fn system_name(end: Option<&Value>) -> Option<&str> {
    let end = end?;
    end.as_str().or_else(|| end.get("name")?.as_str())
}

impl Transformation {
    /// The coordinate system that this transformation leads to, where it names one.
    pub fn output(&self) -> Option<&str> {
        system_name(self.other.get("output"))
    }

    /// Whether this transformation begins where `before` ends: steps that do not name both follow each other.
    fn follows(&self, before: &Transformation) -> bool {
        let input = self.other.get("input");
        let input = system_name(input).or_else(|| input?.get("path")?.as_str());
        input.zip(before.output()).is_none_or(|(input, output)| input == output)
    }
}

impl Dataset {
    /// The transformations of a level, which are steps one after the other.
    ///
    /// # Errors
    /// A message where one begins elsewhere than the one before ends: then they are alternatives, of which OME-Zarr has one.
    pub fn steps(&self) -> Result<&[Transformation], String> {
        if self.transformations.windows(2).all(|pair| pair[1].follows(&pair[0])) {
            return Ok(&self.transformations);
        }
        let systems: Vec<&str> = self.transformations.iter().filter_map(Transformation::output).collect();
        Err(format!(
            "level '{}' has transformations to {}, of which it may have one",
            self.path,
            systems.join(" and to ")
        ))
    }
}

impl Multiscale {
    /// Whether the image states coordinate systems (OME-Zarr 0.6).
    pub fn has_systems(&self) -> bool {
        self.other.get(SYSTEMS).is_some_and(|systems| !systems.is_null())
    }

    /// The axes: the image's own, or of the coordinate system that its levels lead to; else of the last system.
    ///
    /// # Errors
    /// A message where there are systems and none of them has axes that can be read.
    pub fn stated_axes(&self) -> Result<Vec<OmeAxis>, String> {
        if !self.axes.is_empty() || !self.has_systems() {
            return Ok(self.axes.clone());
        }
        let system = match self.own_system() {
            Some(name) => self.system(name).ok_or_else(|| format!("there is no system '{name}'")),
            None => self.systems().last().ok_or_else(|| "there is no system".to_string()),
        };
        let axes = system.and_then(|system| system.get("axes").ok_or_else(|| "a system has no axes".into()));
        axes.and_then(|axes| serde_json::from_value(axes.clone()).map_err(|e| e.to_string()))
            .map_err(|what| format!("{SYSTEMS}: {what}"))
    }

    /// The name of the system that the levels lead to.
    pub(super) fn own_system(&self) -> Option<&str> {
        self.datasets.iter().find_map(|dataset| dataset.transformations.last()?.output())
    }

    /// The axes of the system of that name.
    pub(super) fn axes_of_system(&self, name: &str) -> Option<Vec<OmeAxis>> {
        serde_json::from_value(self.system(name)?.get("axes")?.clone()).ok()
    }

    fn system(&self, name: &str) -> Option<&Value> {
        self.systems().iter().find(|system| system_name(Some(system)) == Some(name))
    }

    fn systems(&self) -> &[Value] {
        self.other.get(SYSTEMS).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// States coordinate systems, in place of axes.
    pub fn set_systems(&mut self, systems: Vec<Value>) {
        self.other.insert(SYSTEMS.into(), Value::Array(systems));
    }

    /// The transformations of the whole image that are steps behind those of each level (0.4 and 0.5). Those that name the
    /// system which they lead to are alternatives, and no steps.
    pub fn steps(&self) -> impl Iterator<Item = &Transformation> {
        self.transformations.iter().filter(|step| !self.is_alternative(step))
    }

    /// The systems that alternatives lead to, where these move or stretch anything and do not say where the image is in the body.
    pub fn other_systems(&self) -> Vec<&str> {
        let moves = |step: &&Transformation| {
            self.is_alternative(step) && step.kind != "identity" && self.body_of(step).is_none()
        };
        self.transformations.iter().filter(moves).map(|step| step.output().unwrap_or("without a name")).collect()
    }

    fn is_alternative(&self, step: &Transformation) -> bool {
        self.has_systems() || step.other.contains_key("output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn image(value: Value) -> Multiscale {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn axes_are_those_of_the_system_that_levels_lead_to() {
        let system = |name: &str, axes: [&str; 2]| json!({"name": name, "axes": axes.map(|a| json!({"name": a, "type": "space"}))});
        let both = [system("physical", ["x", "y"]), system("other", ["y", "x"])];
        for output in [json!("physical"), json!({"name": "physical"})] {
            let step = json!({"type": "scale", "scale": [1, 2], "output": output});
            let found = image(
                json!({"coordinateSystems": both, "datasets": [{"path": "0", "coordinateTransformations": [step]}]}),
            );
            let names: Vec<String> = found.stated_axes().unwrap().into_iter().map(|axis| axis.name).collect();
            assert_eq!(names, ["x", "y"]);
        }
        let step = json!({"type": "scale", "scale": [1, 2], "output": "nowhere"});
        let lost =
            image(json!({"coordinateSystems": both, "datasets": [{"path": "0", "coordinateTransformations": [step]}]}));
        assert!(lost.stated_axes().unwrap_err().contains("nowhere"));
        assert!(image(json!({"coordinateSystems": [], "datasets": []})).stated_axes().is_err());
    }

    #[test]
    fn a_level_has_one_way_into_the_world() {
        let step =
            |from: Value, to: &str| json!({"type": "scale", "scale": [2.0], "input": from, "output": {"name": to}});
        let level = |steps: Value| -> Dataset {
            serde_json::from_value(json!({"path": "0", "coordinateTransformations": steps})).unwrap()
        };
        let own = json!({"path": "0"});
        let twice = level(json!([step(own.clone(), "phys"), step(own.clone(), "world")]));
        assert_eq!(
            twice.steps().unwrap_err(),
            "level '0' has transformations to phys and to world, of which it may have one"
        );
        assert_eq!(level(json!([step(own, "phys"), step(json!("phys"), "world")])).steps().unwrap().len(), 2);
        assert_eq!(
            level(json!([{"type": "scale", "scale": [2.0]}, step(json!("phys"), "world")])).steps().unwrap().len(),
            2
        );
    }

    #[test]
    fn alternatives_are_no_steps() {
        let scale =
            |to: &str| json!({"type": "scale", "scale": [2.0], "input": {"name": "yx"}, "output": {"name": to}});
        let identity = json!({"type": "identity", "output": {"name": "same"}});
        let found =
            image(json!({"datasets": [], "coordinateTransformations": [scale("global"), scale("aligned"), identity]}));
        assert_eq!((found.steps().count(), found.other_systems()), (0, vec!["global", "aligned"]));
        let step = image(json!({"datasets": [], "coordinateTransformations": [{"type": "scale", "scale": [2.0]}]}));
        assert_eq!((step.steps().count(), step.other_systems().len()), (1, 0));
    }
}
