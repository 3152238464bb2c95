//! Streams of JPEG 2000 and HTJ2K of 13x11 voxels, by OpenJPEG 2.5 and OpenJPH, in base64.

use base64::{Engine, engine::general_purpose::STANDARD};

/// The voxels of [`noise`] with 16 bits.
pub(super) const WHOLE_16: &str = "/0//UQApAAAAAAANAAAACwAAAAAAAAAAAAAADQAAAAsAAAAAAAAAAAABDwEB/1IADAAAAAEAAAQEAAH/XAAEQID/kAAKAAAAAAEuAAH/k9/4mj\
    gSNg+aWEEsAl6cgrHBbxRwaxYmpQdD5BtWGCg+Dj0zMJamZnNqBPSXffB+biv+DaBDNgx9G0qzvsnL7aylQ1G4g6SQhOwOZ4Iiuz+yDd4MppFw\
    XRclqO4+l2ETVoLawlZMS5gn/vWFjAADE/wAD2N3SPHy3kqFNw4D/1Azz06IQnnHXSypCbILRWGcyAWpTE+N62gRqzkIlTgPU4nN78m9WFJnBy\
    Ye5pfcgPvf7fRcgKwAvuv1EDgt6Pc7uM9klxp/VtZFozxNsiZAuBpnAiC711NDj85nQkx60h68LA94BlvQjRUZ3Lsog8o1pZXBfUQtVEPn0/M8\
    tK4IzAYSFrGcvheth55+nfMOsDXG2JfuoWuJa4mCC9dQyzVw3//Z";

/// Those with 12 bits, as numbers with a sign.
pub(super) const WHOLE_12_SIGNED: &str = "/0//UQApAAAAAAANAAAACwAAAAAAAAAAAAAADQAAAAsAAAAAAAAAAAABiwEB/1IADAAAAAEAAAQEAAH/XAAEQGD/kAAKAAAAAADiAAH/k8/m0Q\
    V6wv11VrTcmM9sQfh0r38kz5XDx2ExU3s0d2Xk6Y7sNorHEIodUU8f9+3uTK2g4tSbZ0KdThw+Qa60pWkQimDP8odYVFnmp8JNS0qp88bVdAiU\
    Accb+h80POgnfm0sCrQHW3nlpFCkyv2Ao+tBe1PfOj3B+i+baiEEt+0H/R+aYk48LWLzgS6Ui7/iWB/XpsxhX2i1+IvIGBjvUdZquIIEmfHS83\
    cgFjDwkryLh+uCIxAPhjK6IoOtaSXltkLlbONsS/dQtcS1xMEF66hlmPhv/9k=";

/// HTJ2K of those with 16 bits.
pub(super) const FAST_16: &str = "/0//UQApQAAAAAANAAAACwAAAAAAAAAAAAAADQAAAAsAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAMEBEAB/1wADSCIkJCQkJCQiI\
    iI/5AACgAAAAABlAAB/5PAACrAs9Ywhj6o1AJDNADAABWQAAVEAAFQku09BYakvfMCgrQArym/4AUBdADXXXvLAUI0AMAAFtQAAW/AABbYt1wj\
    6Va8fYxkRrwbppvdbfkAQIvNBwF/OQCGMnc/hheGQfeo+8Od9U4oerIvE9Pu0P4rZoSAszcA/in+Vf7N/on+F/8f/L/8H/4f/DBL/pSAfpgAwA\
    AvU4AAXqkAALvwkIM2ThsfctTGhxxCDtp4bTxt3JCDbRyQgzYO5BByCDnSxgU52MYJOQA5CDkIOQ45ghyCHLXxIcchhyEHIIfbeCAHIIfa+P4S\
    rzOKEisXIQAjPACdJJ1knSRg250ksF0nGWwDtneSYDvY3kl2kmAbYFtgG2A7nSSwHdiuk9BJ6iR2EsA2YBtgW51kYLudBLAN2E4nGdj2AKBdtv\
    6WaOlCc4G+EJAikQH/f/z/f/99/3//d/9P/x//P/5//n//f/n/f/99/3n/c/9//2//H/8//3//f/5//P9+AFnJf6TGL9YWpSALngD/2Q==";

/// Colours of [`colours`], through the reversible transform of colours.
pub(super) const COLOURS: &str = "/0//UQAvAAAAAAANAAAACwAAAAAAAAAAAAAADQAAAAsAAAAAAAAAAAADBwEBBwEBBwEB/1IADAAAAAEBAAQEAAH/XAAEQED/kAAKAAAAAAHLAA\
    H/k8+2jBGKLR7rUcu8v0UEa28m4wAW+bFRfEIQujwFMQ/PCyBazygDg49UqLqyg/k8GnCCfC+WLO2D7TrOQKB56096CyGNBEtt8iUs4je5kGmk\
    U0Y9ZOs4vttvDpkchPjo6BBfcD43igIriOZGYgDa30OzxFbNFxVdWc2k+m7MZ+SsMRENiFmefiJw/UeAABQ/34UqINahzu8Xc9v5tmWTwjlEQI\
    4XjwMakdWvEC9QCi8UJtX9XVJ1xBUzmQHwjhrz0xEQNGEoVtlCKMDJl32M+Nxhso6xzXR1ZA2o4QmbpuE2YPq9bnD8Xfl0CxEkTW3RBsae5HVK\
    kBfdcU+8x7Z9gffTKgM4rb6ujN6XknPZcsG9Iudawa8rOUKOHavJ1AW94OjCmutyYlLfhSYJ80+1X4Gf6P5BX4Pj9jofmozrnHSzlX/HdGmjl5\
    PgLmHvCQmk9g43nTW837pcy7IbmUcLg9tuqrHFwZtOgNyqv7DvurzJhNsbJ6W8TyHmWVmGJbmZPcs3WpBhsF17oKaexT0hxpduT3OCYWXFXuAl\
    /m6Hm0iyyD2HppxAVcJ1cgaKJyA88RnFjDLkZ66HEgt2Fdf/2Q==";

/// A ramp of [`ramp`], not reversible.
pub(super) const LOSSY: &str = "/0//UQApAAAAAAANAAAACwAAAAAAAAAAAAAADQAAAAsAAAAAAAAAAAABBwEB/1IADQECAAEAAAQEAACI/1wABUJAAP+QAAoAAAAAAFwAAf+T30\
    0sEjQ66saxz71zF7Oi9sEnjzj2LBTm7gPRA9b55mUK/v1syu8GFahH6mg3djwpMXO8OyclcS5JkPmbvxeGYqC/o3MVBgAGt0Tp4iWj/9k=";

/// The bytes of one of these.
pub(super) fn stream(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

/// Voxels of so many bits.
pub(super) fn noise(bits: u32) -> Vec<u16> {
    (0..143u32).map(|n| ((n * n * 40_503 + n * 7) & ((1 << bits) - 1)) as u16).collect()
}

/// Three samples for each voxel.
pub(super) fn colours() -> Vec<u8> {
    (0..3 * 143u32).map(|n| (n * n * 77 % 256) as u8).collect()
}

/// Voxels that rise along both axes.
pub(super) fn ramp() -> Vec<u8> {
    (0..143u32).map(|n| (n % 13 * 5 + n / 13 * 9 + n * n % 4) as u8).collect()
}
