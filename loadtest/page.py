def page(r, o, u):
    return "x"
