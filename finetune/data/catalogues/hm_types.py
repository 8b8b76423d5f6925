"""The keywords that make an H&M product type a fashion type in the published preparation."""

_KEYWORDS = """
wedge, trousers, dress, sweater, t-shirt, top, blouse, jacket, shorts, shirt, vest top, underwear bottom, skirt,
hoodie, bra, socks, leggings/tights, sneakers, cardigan, garment set, swimwear bottom, bag, jumpsuit/playsuit,
pyjama set, blazer, bodysuit, bikini top, sandals, swimsuit, sunglasses, underwear tights, coat, polo shirt,
pyjama jumpsuit/playsuit, ballerinas, dungarees, slippers, pyjama bottom, heeled sandals, swimwear set, pumps,
underwear body, night gown, flat shoe, outdoor waistcoat, robe, outdoor trousers, flip flop, kids underwear top,
costumes, tailored waistcoat, sarong, outdoor overall, swimwear top, bootie, long john, hair ties, heels,
underdress, flat shoes, leg warmers, bucket hat, underwear corset, boots, tie, cap, other accessories, hat/brim,
accessories set, other shoe, underwear set, earring, hat/beanie, necklace, hair/alice band, hair clip, ring,
hair string, bracelet, scarf, cap/peaked, belt, gloves, wallet, watch, beanie, earrings, felt hat,
weekend/gym bag
"""

FASHION_KEYWORDS = tuple(keyword.strip() for keyword in _KEYWORDS.split(","))
