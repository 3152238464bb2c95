use super::*;

fn document(pixels: &str, data: &str) -> String {
    format!(
        "<OME xmlns='x'><Image ID='Image:0' Name='a'><Pixels SizeX='4' SizeY='3' {pixels}>{data}</Pixels></Image></OME>"
    )
}

fn found(pixels: &str, data: &str) -> Result<Vec<u32>, Fault> {
    let text = document(pixels, data);
    let images = images(text.as_bytes(), 1)?;
    places(text.as_bytes(), &images, 0, 100, "a.ome.tif")
}

const SIZES: &str = "SizeZ='2' SizeC='3' SizeT='1' DimensionOrder='XYCZT'";

#[test]
fn planes_stand_where_they_are_said_to() {
    assert_eq!(found(SIZES, "").unwrap(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(found(SIZES, "<TiffData/>").unwrap(), [0, 1, 2, 3, 4, 5]);
    let two = "<TiffData IFD='5' PlaneCount='3' FirstZ='1'/><TiffData IFD='2' PlaneCount='3'></TiffData>";
    assert_eq!(found(SIZES, two).unwrap(), [2, 3, 4, 5, 6, 7]);
    let each: String =
        (0..6).map(|n| format!("<TiffData IFD='{}' FirstC='{}' FirstZ='{}'/>", 9 - n, n % 3, n / 3)).collect();
    assert_eq!(found(SIZES, &each).unwrap(), [9, 8, 7, 6, 5, 4]);
    assert_eq!(
        found(SIZES, "<TiffData IFD='0' FirstC='1'/>").unwrap(),
        [NOWHERE, 0, NOWHERE, NOWHERE, NOWHERE, NOWHERE]
    );
    assert!(found(SIZES, "<TiffData IFD='0' PlaneCount='0'/>").is_err(), "no plane has a place");
    assert!(found(SIZES, "<TiffData FirstZ='2'/>").is_err());
    assert!(found(SIZES, "<TiffData IFD='99' PlaneCount='3'/>").is_err());
    assert!(found("SizeZ='99999999999'", "").is_err());
}

#[test]
fn other_files_are_noticed() {
    let named = |names: &[&str]| {
        let data: String = (0..6)
            .map(|n| {
                format!(
                    "<TiffData IFD='{n}' FirstC='{}' FirstZ='{}'><UUID FileName='{}'>{n}</UUID></TiffData>",
                    n % 3,
                    n / 3,
                    names[n % names.len()]
                )
            })
            .collect();
        found(SIZES, &data)
    };
    assert!(named(&["a.ome.tif"]).is_ok() && named(&["renamed.ome.tif"]).is_ok());
    assert!(named(&["a.ome.tif", "b.ome.tif"]).is_err() && named(&["b.ome.tif", "c.ome.tif"]).is_err());
    let elsewhere =
        "<OME UUID='1'><Image><Pixels><TiffData><UUID FileName='b'>2</UUID></TiffData></Pixels></Image></OME>";
    let images = images(elsewhere.as_bytes(), 1).unwrap();
    assert!(places(elsewhere.as_bytes(), &images, 0, 9, "a").is_err());
    let companion = "<OME><BinaryOnly MetadataFile='x.companion.ome' UUID='1'/></OME>";
    assert!(super::images(companion.as_bytes(), 1).is_err());
}

#[test]
fn steps_have_units() {
    let pixels = format!(
        "{SIZES} PhysicalSizeX='0.5' PhysicalSizeY='500' PhysicalSizeYUnit='nm' PhysicalSizeZ='0.002' PhysicalSizeZUnit='mm' TimeIncrement='3' TimeIncrementUnit='ms'"
    );
    let image = images(document(&pixels, "").as_bytes(), 1).unwrap().remove(0);
    let described = image.described();
    assert_eq!((described.steps, described.unit.clone()), ([Some(2.0), Some(0.5), Some(0.5)], Unit::Micrometre));
    assert_eq!(described.leads.iter().map(|lead| lead.name.as_str()).collect::<Vec<_>>(), ["t", "z", "c"]);
    assert_eq!((described.leads[0].step, described.leads[0].unit.as_deref()), (3.0, Some("millisecond")));
}
