use lockattr::assert_held;

const ORDER: &str = "order:{id}";

fn main() {
    let (a, b) = (1, 2);
    assert_held!();
    assert_held!("{}{}", a, b);
    assert_held!("order:{c}");
    assert_held!(ORDER);
    assert_held!(ORDER, a);
}
