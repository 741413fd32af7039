//! Pictures of the window without a screen or a graphics card: egui's triangles, filled one by one.
//!
//! The same on every machine but for rounding, so a picture can be kept and compared.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use eframe::egui::epaint::{ImageData, Mesh, Primitive, Vertex};
use eframe::egui::{Color32, Context, FullOutput, Pos2, Rect, TextureId, TexturesDelta};
use egui_kittest::TestRenderer;

/// Set to write the kept pictures anew instead of comparing.
const RENEW: &str = "STUDIOVAULT_NEW_PICTURES";
/// A channel may be this far off before a pixel counts as another one.
const NEAR: u8 = 24;
/// Of a thousand pixels so many may be other ones: rounding at the edges of letters.
const OTHER_PER_MILLE: usize = 3;

/// One texture, row by row.
#[derive(Default)]
struct Texture {
    width: usize,
    pixels: Vec<Color32>,
}

impl Texture {
    fn at(&self, uv: Pos2) -> Color32 {
        let height = self.pixels.len() / self.width.max(1);
        let place = |share: f32, of: usize| {
            ((share * of as f32).max(0.0) as usize).min(of.saturating_sub(1))
        };
        self.pixels[place(uv.y, height) * self.width + place(uv.x, self.width)]
    }
}

/// The textures that the window has handed out, shared with the harness that feeds them.
#[derive(Clone, Default)]
pub struct Textures(Rc<RefCell<HashMap<TextureId, Texture>>>);

impl TestRenderer for Textures {
    fn handle_delta(&mut self, delta: &TexturesDelta) {
        let mut held = self.0.borrow_mut();
        for (id, change) in &delta.set {
            let ImageData::Color(image) = &change.image;
            let [width, _] = image.size;
            let texture = held.entry(*id).or_default();
            match change.pos {
                None => {
                    texture.width = width;
                    texture.pixels.clone_from(&image.pixels);
                }
                Some([left, top]) => {
                    for (at, row) in image.pixels.chunks(width).enumerate() {
                        let from = (top + at) * texture.width + left;
                        texture.pixels[from..from + width].copy_from_slice(row);
                    }
                }
            }
        }
    }
}

/// A picture: red, green and blue of every pixel, row by row.
#[derive(PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// What the last frame shows.
    pub fn of(ctx: &Context, output: &FullOutput, textures: &Textures) -> Self {
        let scale = output.pixels_per_point;
        let size = ctx.content_rect().size() * scale;
        let mut picture = Self {
            width: size.x.round() as usize,
            pixels: vec![[0; 3]; (size.x.round() * size.y.round()) as usize],
        };
        let textures = textures.0.borrow();
        for shape in ctx.tessellate(output.shapes.clone(), scale) {
            if let Primitive::Mesh(mesh) = &shape.primitive {
                picture.fill_mesh((mesh, &textures[&mesh.texture_id]), shape.clip_rect, scale);
            }
        }
        picture
    }

    fn height(&self) -> usize {
        self.pixels.len() / self.width
    }

    fn fill_mesh(&mut self, (mesh, texture): (&Mesh, &Texture), clip: Rect, scale: f32) {
        for corners in mesh.indices.chunks(3) {
            let corner = |at: usize| {
                let vertex = mesh.vertices[corners[at] as usize];
                Vertex {
                    pos: vertex.pos * scale,
                    ..vertex
                }
            };
            self.fill([corner(0), corner(1), corner(2)], texture, clip * scale);
        }
    }

    fn fill(&mut self, mut corners: [Vertex; 3], texture: &Texture, clip: Rect) {
        let area =
            |a: Pos2, b: Pos2, c: Pos2| (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
        let [a, b, c] = corners.map(|corner| corner.pos);
        let whole = area(a, b, c);
        if whole == 0.0 {
            return;
        }
        if whole < 0.0 {
            corners.swap(1, 2);
        }
        let [a, b, c] = corners.map(|corner| corner.pos);
        let bounds = Rect::from_points(&[a, b, c]).intersect(clip);
        let range = |from: f32, to: f32, limit: usize| {
            (from.floor().max(0.0) as usize)..(to.ceil().max(0.0) as usize).min(limit)
        };
        for y in range(bounds.min.y, bounds.max.y, self.height()) {
            for x in range(bounds.min.x, bounds.max.x, self.width) {
                let point = Pos2::new(x as f32 + 0.5, y as f32 + 0.5);
                if !clip.contains(point) {
                    continue;
                }
                let weights = [area(b, c, point), area(c, a, point), area(a, b, point)];
                let edges = [(b, c), (c, a), (a, b)];
                let inside = weights.iter().zip(edges).all(|(weight, (from, to))| {
                    // A point on an edge belongs to the triangle below or right of it, so that it is painted once.
                    *weight > 0.0
                        || *weight == 0.0 && (to.y < from.y || to.y == from.y && to.x > from.x)
                });
                if inside {
                    let ink = blend(
                        &corners,
                        weights.map(|weight| weight / whole.abs()),
                        texture,
                    );
                    self.paint(y * self.width + x, ink);
                }
            }
        }
    }

    /// `ink` is premultiplied: red, green, blue, alpha from 0 to 1.
    fn paint(&mut self, at: usize, ink: [f32; 4]) {
        for (channel, part) in self.pixels[at].iter_mut().zip(ink) {
            let below = f32::from(*channel) / 255.0;
            *channel = ((part + below * (1.0 - ink[3])) * 255.0)
                .round()
                .clamp(0.0, 255.0) as u8;
        }
    }

    /// Compares with the picture that is kept under a name, or keeps this one if that was asked for.
    pub fn expect(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pictures");
        let path = folder.join(format!("{name}.png"));
        if std::env::var_os(RENEW).is_some() {
            fs::create_dir_all(&folder).unwrap();
            return fs::write(path, self.png()).unwrap();
        }
        let kept = Self::read(&fs::read(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; write it with {RENEW}=1", path.display())
        }));
        let size = (kept.width, kept.pixels.len());
        assert_eq!(
            (self.width, self.pixels.len()),
            size,
            "{name}: another size"
        );
        let other = |(one, two): (&[u8; 3], &[u8; 3])| {
            one.iter()
                .zip(two)
                .any(|(one, two)| one.abs_diff(*two) > NEAR)
        };
        let others = self
            .pixels
            .iter()
            .zip(&kept.pixels)
            .filter(|pair| other(*pair));
        let others = others.count();
        if others * 1000 > self.pixels.len() * OTHER_PER_MILLE {
            let shown = std::env::temp_dir().join(format!("{name}.png"));
            fs::write(&shown, self.png()).unwrap();
            panic!(
                "{name}: {others} pixels are others than kept; look at {} and, if it is right, keep it with {RENEW}=1",
                shown.display()
            );
        }
    }

    fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height() as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().unwrap();
        // 32 steps a channel: half the bytes, and no eye tells.
        let coarse = |channel: &u8| ((u16::from(*channel) * 31 + 127) / 255 * 255 / 31) as u8;
        let pixels: Vec<u8> = self.pixels.as_flattened().iter().map(coarse).collect();
        writer.write_image_data(&pixels).unwrap();
        drop(writer);
        bytes
    }

    fn read(bytes: &[u8]) -> Self {
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        Self {
            width: info.width as usize,
            pixels: pixels.as_chunks::<3>().0.to_vec(),
        }
    }
}

/// What a triangle shows at a point: colour and texture, premultiplied.
fn blend(corners: &[Vertex; 3], weights: [f32; 3], texture: &Texture) -> [f32; 4] {
    let mut ink = [0.0; 4];
    let (mut x, mut y) = (0.0, 0.0);
    for (corner, weight) in corners.iter().zip(weights) {
        for (channel, part) in ink.iter_mut().zip(corner.color.to_array()) {
            *channel += weight * f32::from(part) / 255.0;
        }
        x += weight * corner.uv.x;
        y += weight * corner.uv.y;
    }
    let texel = texture.at(Pos2::new(x, y)).to_array();
    for (channel, part) in ink.iter_mut().zip(texel) {
        *channel *= f32::from(part) / 255.0;
    }
    ink
}
