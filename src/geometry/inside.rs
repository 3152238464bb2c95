//! temp
pub fn settle(c: f64) -> f64 {
    let half = (c - 0.5).round() + 0.5;
    if (c - half).abs() <= 1e-6 { half } else { c }
}
pub fn inside(c: f64, lo: i64, hi: i64) -> bool {
    let c = settle(c);
    c >= lo as f64 - 0.5 && c < hi as f64 - 0.5
}
impl super::AxisMap {
    pub fn at(&self, i: i64) -> f64 {
        self.scale.mul_add(i as f64, self.offset)
    }
}
