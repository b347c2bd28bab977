//! Images and audio that are made: each unlike the others, of the sizes that are asked for.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use rand::{Rng, RngExt};

use crate::payload::{Media, MediaKind};

/// Pixels of an area with one colour, so that images are as large as photographs, and not as noise.
const AREA: u32 = 8;
/// Samples of a second.
const SAMPLE_RATE: u32 = 16_000;
/// How long a tone lasts, in samples.
const TONE: u32 = SAMPLE_RATE / 8;

/// A PNG of so many pixels: areas of random colours.
pub(super) fn image(width: u32, height: u32, random: &mut impl Rng) -> Media {
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    // Eight bits of red, green and blue each, without interlacing.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    let mut row = Vec::with_capacity(1 + 3 * width as usize);
    for line in 0..height {
        if line % AREA == 0 {
            row.clear();
            // No filter.
            row.push(0);
            let mut colour = [0; 3];
            for column in 0..width {
                if column % AREA == 0 {
                    colour = random.random();
                }
                row.extend_from_slice(&colour);
            }
        }
        // Writing to memory does not fail.
        let _ = pixels.write_all(&row);
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &pixels.finish().unwrap_or_default());
    chunk(&mut png, *b"IEND", &[]);
    Media::new(MediaKind::Image, "image/png", png)
}

/// A part of a PNG: its length, its name, its data, and their check.
fn chunk(png: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    png.extend_from_slice(&(data.len() as u32).to_be_bytes());
    png.extend_from_slice(&name);
    png.extend_from_slice(data);
    let mut check = Crc::new();
    check.update(&name);
    check.update(data);
    png.extend_from_slice(&check.sum().to_be_bytes());
}

/// A WAV of so many seconds: random tones, one channel of 16 bits.
pub(super) fn audio(seconds: f64, random: &mut impl Rng) -> Media {
    let samples = (seconds * f64::from(SAMPLE_RATE)).round() as u32;
    let size = samples * 2;
    let mut wav = Vec::with_capacity(44 + size as usize);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + size).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    wav.extend_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
    wav.extend_from_slice(&2_u16.to_le_bytes());
    wav.extend_from_slice(&16_u16.to_le_bytes());
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&size.to_le_bytes());
    let mut step = 0.0;
    for sample in 0..samples {
        if sample % TONE == 0 {
            let pitch: f64 = random.random_range(100.0..1000.0);
            step = pitch / f64::from(SAMPLE_RATE);
        }
        let value = (f64::from(sample % TONE) * step * std::f64::consts::TAU).sin();
        wav.extend_from_slice(&((value * 8000.0) as i16).to_le_bytes());
    }
    Media::new(MediaKind::Audio, "audio/wav", wav)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::payload::media_type_by_content;

    #[test]
    fn an_image_is_a_png_of_its_size() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let [one, other] = [(); 2].map(|()| image(100, 37, &mut random));
        assert_ne!(one.bytes(), other.bytes());
        assert_eq!(media_type_by_content(one.bytes()), Some("image/png"));
        // Another reader finds what was written.
        let read = tiny_skia::Pixmap::decode_png(one.bytes()).unwrap();
        assert_eq!((read.width(), read.height()), (100, 37));
        let pixels: std::collections::HashSet<_> = read
            .pixels()
            .iter()
            .map(|p| (p.red(), p.green(), p.blue()))
            .collect();
        assert!(pixels.len() > 50);
    }

    #[test]
    fn audio_has_its_length() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let audio = audio(1.5, &mut random);
        let bytes = audio.bytes();
        assert_eq!(bytes.len(), 44 + 48_000);
        let mime = media_type_by_content(bytes);
        assert!(mime.is_some_and(|mime| mime.contains("wav")), "{mime:?}");
    }
}
