use lockattr::key;

struct Opaque;

fn main() {
    let (id, name, opaque) = (1, "a", Opaque);
    const ORDER: &str = "order:{id}";
    key!();
    key!("");
    key!("order:{idd}");
    key!("order:{id}{name}");
    key!("order:{}:{}", id);
    key!("order:{}", id, name);
    key!("order:{id}", name = name);
    key!("order:{a}", a = id, a = name);
    key!("order:{a}:{}", a = id, name);
    key!("order:{opaque}");
    key!("order:{}", opaque);
    key!("order:{id:>w$}", w = 3);
    key!(ORDER);
    key!("order:{id.len()}");
}
